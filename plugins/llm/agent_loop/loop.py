"""One run of an `agent_loop`: a pure state machine, asked again from the beginning after a crash."""

from collections import deque
from collections.abc import Mapping
from typing import Final

import msgspec

from engine.construct import Ending, Opening
from engine.contract import Done, Fail
from engine.states import NodeState
from engine.values import Json, kind_of
from plugins.llm.agent_loop.guard import Guard, Refusal
from plugins.llm.agent_loop.memory import Memory
from plugins.llm.agent_loop.params import AgentLoopParams
from plugins.llm.agent_loop.transcript import Transcript, Turn, told
from plugins.llm.conversation import ToolCall

__all__ = ["AgentLoop"]

_DENIED: Final = "denied"


class AgentLoop:
    """Turn, calls, turn, calls … answer. What is open is one body at a time."""

    concurrency = 1

    def __init__(self, params: AgentLoopParams, bodies: Mapping[str, tuple[str, ...]]) -> None:
        self._params = params
        self._asks_to_stop = "stop" in bodies
        has_input = params.input is not msgspec.UNSET
        self._transcript = Transcript(
            system=params.system, goal=params.goal, data=params.input if has_input else None, has_data=has_input
        )
        self._memory = Memory(params.memory, summarises="summary" in bodies)
        self._nodes = {rule.name or node: node for node, rule in params.tools.items()}
        """What the model calls a tool -> the node that does it."""
        self._guard = Guard(
            {name: params.tools[node] for name, node in self._nodes.items()}, taint=params.taint, tainted=has_input,
            max_repeats=params.max_repeats, approves="approval" in bodies,
        )  # fmt: skip
        self._wanted: deque[ToolCall] = deque()
        """Calls of the newest turn that are still to be made; the first one is under way."""
        self._count = 0
        """How often the first of them was wanted, and 0 before that is asked."""
        self._allowed = False
        self._opened: dict[str, int] = {}
        self._steps = self._said = self._calls = 0
        """Turns; calls that were wanted; calls that were made."""
        self._usage: dict[str, float] = {"input_tokens": 0, "output_tokens": 0, "seconds": 0.0}
        self._to_ask: Json = None
        """The call that `stop_when` is to be asked about."""
        self._open = self._stopping = False
        self._end: Done | Fail | None = None

    # --- the engine asks

    def next(self) -> Opening | Done | Fail | None:
        if self._open:
            return None
        if self._end is not None:
            return self._end
        if self._stopping:
            return Fail("stopped", kind="cancelled")
        opening = self._next()
        self._open = isinstance(opening, Opening)
        return opening

    def refused(self, opening: Opening) -> None:
        raise RuntimeError("an agent_loop has no condition")

    def ended(self, ending: Ending) -> None:
        self._open = False
        match ending.opening.body:
            case "tools":
                self._tool_ended(ending)
            case "approval":
                self._approval_ended(ending)
            case _ if ending.state is not NodeState.COMPLETED:
                self._fail(f"{ending.node or ending.opening.suffix}: {ending.message}", ending.kind or "failed")
            case "turn":
                self._turn_ended(_object(ending.values.get("output")))
            case "stop":
                self._stop_ended(ending.values.get("stop"))
            case "summary":
                output = _object(ending.values.get("output"))
                self._use(output)
                self._memory.noted(self._transcript, str(output.get("text", "")).strip())

    def stop(self) -> None:
        self._stopping = True

    def transcript(self) -> list[dict[str, Json]]:
        """What was said so far, for people."""
        return self._transcript.entries()

    # --- what comes next

    def _next(self) -> Opening | Done | Fail:
        if self._to_ask is not None:
            return self._opening("stop", {"call": self._to_ask, "step": self._steps - 1})
        while self._wanted:
            opening = self._next_call(self._wanted[0])
            if opening is not None:
                return opening
            if self._end is not None:
                return self._end
        notes = self._memory.to_note(self._transcript)
        if notes is not None:
            return self._opening("summary", notes)
        if self._steps >= self._params.max_steps:
            message = f"no answer after {self._steps} turns, which is max_steps; `ganglion show` has the transcript"
            return self._fail(message, "max_steps")
        return self._opening("turn", {"messages": self._memory.messages(self._transcript)})

    def _next_call(self, call: ToolCall) -> Opening | None:
        """What a call needs now; None where it was not made: the model is told why, or the loop has ended."""
        if not self._count:
            self._count = self._guard.count(call)
            if self._guard.is_too_often(self._count):
                message = f"{call.name} was wanted {self._count} times with the same arguments; see max_repeats"
                self._fail(message, "repeated")
                return None
        refusal = self._guard.refuses(call)
        if refusal is not None:
            self._tell(call, refusal.told())
            return None
        why = "" if self._allowed else self._guard.asks(call)
        if not why:
            return self._opening("tools", {"arguments": dict(call.arguments)}, only=self._nodes[call.name])
        if not self._guard.can_ask:
            self._tell(call, Refusal(_DENIED, why).told())
            return None
        return self._opening("approval", {"call": {"tool": call.name, "arguments": dict(call.arguments), "why": why}})

    def _opening(self, body: str, names: Mapping[str, Json], *, only: str = "") -> Opening:
        place = "tool" if body == "tools" else body
        number = self._opened.get(place, 0)
        self._opened[place] = number + 1
        return Opening(body, f"/{place}[{number}]", names, only)

    # --- what has ended

    def _turn_ended(self, output: Mapping[str, Json]) -> None:
        self._steps += 1
        self._use(output)
        calls = tuple(_call(wanted, number) for number, wanted in enumerate(output.get("calls") or (), self._said + 1))
        self._said += len(calls)
        text = str(output.get("text", ""))
        self._transcript.turns.append(Turn(text, calls))
        self._wanted.extend(calls)
        if not calls:
            self._conclude("answer", text)

    def _tool_ended(self, ending: Ending) -> None:
        call = self._wanted[0]
        if ending.state is NodeState.CANCELLED:
            return
        self._calls += 1
        result = ending.values.get("output")
        if ending.state is NodeState.FAILED:
            result = Refusal(ending.kind or "failed", ending.message).told()
        self._guard.has_read(call)
        if self._asks_to_stop:
            self._to_ask = {"tool": call.name, "arguments": dict(call.arguments), "result": result}
        self._tell(call, result)

    def _approval_ended(self, ending: Ending) -> None:
        call = self._wanted[0]
        if ending.state is NodeState.CANCELLED:
            return
        if ending.state is NodeState.FAILED:
            self._fail(f"{ending.node}: {ending.message}", ending.kind or "failed")
            return
        answer = ending.values.get("output")
        if answer is None:
            self._deny(call, "nobody allowed it in time", "nobody answered in time")
            return
        values, by = _object(_object(answer).get("values")), _object(answer).get("by")
        who, reason = str(by or "somebody"), str(values.get("reason") or "")
        because = f": {reason}" if reason else ""
        if values.get("approve") is True:
            self._allowed = True
            self._transcript.turns[-1].decisions[call.id] = f"allowed by {who}{because}"
        else:
            self._deny(call, f"a person does not allow it{because}", f"denied by {who}{because}")

    def _stop_ended(self, value: Json) -> None:
        self._to_ask = None
        if not isinstance(value, bool):
            message = f"stop_when gave {kind_of(value)}, not true or false: compare it, such as `x > 0`"
            self._fail(message, "invalid")
        elif value:
            self._conclude("stop_when", None)

    def _deny(self, call: ToolCall, message: str, decision: str) -> None:
        self._transcript.turns[-1].decisions[call.id] = decision
        self._tell(call, Refusal(_DENIED, message).told())

    def _tell(self, call: ToolCall, result: Json) -> None:
        """The model gets to know what came of a call, which is done with."""
        if self._count > 1:
            note = f"this very call was made {self._count} times; do something else, or answer"
            result = {"repeated": note, "result": result}
        self._transcript.turns[-1].answer(call, told(result, limit=self._params.max_result))
        self._wanted.popleft()
        self._count, self._allowed = 0, False

    # --- its end

    def _conclude(self, stopped: str, answer: str | None) -> None:
        self._end = Done(
            {
                "answer": answer,
                "stopped": stopped,
                "steps": self._steps,
                "calls": self._calls,
                "transcript": self._transcript.entries(),
                "llm": {**self._usage, "seconds": round(self._usage["seconds"], 6)},
            }
        )

    def _fail(self, message: str, kind: str) -> Fail:
        self._end = Fail(message, kind=kind)
        return self._end

    def _use(self, output: Mapping[str, Json]) -> None:
        about = _object(output.get("llm"))
        for name in self._usage:
            used = about.get(name)
            if isinstance(used, int | float):
                self._usage[name] += used


def _call(wanted: Json, number: int) -> ToolCall:
    fields = _object(wanted)
    return ToolCall(
        name=str(fields.get("name", "")), arguments=_object(fields.get("arguments")),
        id=str(fields.get("id") or f"call-{number}"),
    )  # fmt: skip


def _object(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, Mapping) else {}

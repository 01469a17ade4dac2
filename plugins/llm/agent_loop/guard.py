"""Which calls may be made: known tools with arguments that fit, not again and again, nothing that others talked the
model into."""

from collections import Counter
from collections.abc import Mapping

import msgspec

from engine.values import Json, encode_json
from plugins.llm.agent_loop.bodies import parameters_of
from plugins.llm.agent_loop.params import Taint, ToolRule
from plugins.llm.answers import misfit
from plugins.llm.conversation import ToolCall

__all__ = ["Guard", "Refusal"]


class Refusal(msgspec.Struct, frozen=True):
    """Why a call is not made; the model is told."""

    kind: str
    message: str

    def told(self) -> Json:
        return {"error": {"kind": self.kind, "message": self.message}}


class Guard:
    """Judges the calls of one loop, in order."""

    def __init__(
        self, tools: Mapping[str, ToolRule], *, taint: Taint, tainted: bool, max_repeats: int, approves: bool
    ) -> None:
        """`tainted`: untrusted data was read already. `approves`: there is somebody who can be asked."""
        self._tools = tools
        self._schemas = {name: parameters_of(msgspec.to_builtins(tool)) for name, tool in tools.items()}
        self._taint = taint
        self._tainted = "the input" if tainted else ""
        self._max_repeats = max_repeats
        self._approves = approves
        self._made: Counter[bytes] = Counter()

    def count(self, call: ToolCall) -> int:
        """How often this very call is wanted by now, this time included."""
        key = encode_json([call.name, _sorted(dict(call.arguments))])
        self._made[key] += 1
        return self._made[key]

    def is_too_often(self, count: int) -> bool:
        return count > self._max_repeats

    def refuses(self, call: ToolCall) -> Refusal | None:
        """A call that can't be made at all."""
        if call.name not in self._tools:
            return Refusal("unknown_tool", f"there is no tool {call.name[:64]}; there are {', '.join(self._tools)}")
        wrong = misfit(dict(call.arguments), self._schemas[call.name])
        return Refusal("invalid_arguments", wrong) if wrong else None

    def asks(self, call: ToolCall) -> str:
        """Why a person must allow it; empty if nobody need be asked."""
        tool = self._tools[call.name]
        if tool.approval:
            return "each call of this tool is to be allowed"
        if self._taint is Taint.STRICT and self._tainted and not tool.reads:
            return f"it changes something, and the model has read {self._tainted}, which nobody vouches for"
        return ""

    @property
    def can_ask(self) -> bool:
        return self._approves

    def has_read(self, call: ToolCall) -> None:
        """The model gets to know what a tool gave, be it an error."""
        if not self._tools[call.name].trusted:
            self._tainted = self._tainted or f"what {call.name} gave"


def _sorted(value: Json) -> Json:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list | tuple) else value

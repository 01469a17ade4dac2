"""An answer while it comes."""

import msgspec

from engine.clock import Clock
from engine.values import Json, encode_json
from plugins.llm.conversation import Finish, Prompt, Reply, ToolCall, Usage
from plugins.llm.errors import ModelError, Trouble
from plugins.llm.guess import guessed_text, guessed_tokens
from plugins.llm.provider import Listener
from plugins.llm.remote.ndjson import read_json

__all__ = ["Draft"]


class _Call(msgspec.Struct):
    id: str = ""
    name: str = ""
    arguments: str = ""


class Draft:
    """A dialect's reader fills it; `reply` reads it once the answer is whole."""

    def __init__(self, prompt: Prompt, listener: Listener, clock: Clock, *, began: float, quiet: bool = False) -> None:
        """`began`: when the model was asked, on the clock. `quiet`: nothing is heard until the end, for the text is not
        the answer yet (`replace`)."""
        self._prompt = prompt
        self._listener = listener
        self._clock = clock
        self._quiet = quiet
        self._began = began
        self._first: float | None = None
        self._pieces: list[str] = []
        self._calls: dict[object, _Call] = {}
        self.finish: Finish | None = None
        self.input: int | None = None
        self.output: int | None = None
        self.reused = 0
        self.model = ""

    @property
    def text(self) -> str:
        return "".join(self._pieces)

    def write(self, text: str) -> None:
        """More of the answer's text."""
        if text:
            self._touch()
            self._pieces.append(text)
            if not self._quiet:
                self._listener.heard(text)

    def call(self, key: object, *, id: str = "", name: str = "", arguments: str | Json = "") -> None:
        """More of a tool call; the same `key` goes on with the same one. Arguments come whole as an object, or as the
        JSON text of one in pieces."""
        self._touch()
        call = self._calls.setdefault(key, _Call())
        call.id, call.name = call.id or id, call.name or name
        if not isinstance(arguments, str):
            arguments = encode_json(arguments).decode()
        call.arguments += arguments

    def count(self, input: Json = None, output: Json = None, reused: Json = None) -> None:
        """Tokens as the provider counts them; what is no number is none."""
        self.input = input if _is_count(input) else self.input
        self.output = output if _is_count(output) else self.output
        self.reused = reused if _is_count(reused) else self.reused

    def last_call(self) -> object | None:
        """The key of the call that came last."""
        return next(reversed(self._calls), None)

    def id_of(self, key: object) -> str:
        return self._calls[key].id if key in self._calls else ""

    def replace(self, text: str) -> None:
        """What was collected quietly stands for this."""
        self._pieces = [text]

    def reply(self) -> Reply:
        """Raises ModelError: empty_output, or invalid_output for calls that can't be read."""
        text = self.text
        if text and self._quiet:
            self._listener.heard(text)
        calls = self._read_calls()
        if not text and not calls:
            why = "before it wrote anything: raise max_tokens, of which its thinking is a part"
            raise ModelError(
                Trouble.EMPTY, f"it stopped {why}" if self.finish is Finish.LENGTH else "it wrote nothing: ask again"
            )
        # Some servers say "stop" beside calls, and some "calls" without any.
        stopped = Finish.LENGTH if self.finish is Finish.LENGTH else Finish.STOP
        ended = self._clock.monotonic()
        return Reply(
            text=text, calls=calls, finish=Finish.CALLS if calls else stopped, usage=self._usage(text),
            model=self.model, seconds=ended - self._began,
            first_token=(ended if self._first is None else self._first) - self._began,
        )  # fmt: skip

    def _touch(self) -> None:
        if self._first is None:
            self._first = self._clock.monotonic()

    def _read_calls(self) -> tuple[ToolCall, ...]:
        number = sum(len(message.calls) for message in self._prompt.messages)
        return tuple(
            ToolCall(id=call.id or f"call-{number + nth}", name=call.name, arguments=self._arguments(call))
            for nth, call in enumerate(self._calls.values(), 1)
        )

    def _arguments(self, call: _Call) -> dict[str, Json]:
        if not call.name:
            raise ModelError(Trouble.INVALID, "it asks for a tool without saying which: ask again")
        cut = " (it was cut off: raise max_tokens)" if self.finish is Finish.LENGTH else ": ask again"
        try:
            arguments = read_json(call.arguments.encode(errors="replace")) if call.arguments.strip() else {}
        except ModelError:
            arguments = None
        if not isinstance(arguments, dict):
            raise ModelError(
                Trouble.INVALID, f"it asks for the tool {call.name} with arguments that are no object{cut}"
            )
        return arguments

    def _usage(self, text: str) -> Usage:
        """As the provider counted; what it did not count is guessed, and marked."""
        written = text + "".join(call.name + call.arguments for call in self._calls.values())
        return Usage(
            input=guessed_tokens(self._prompt) if self.input is None else self.input,
            output=guessed_text(written) if self.output is None else self.output,
            reused=self.reused,
            guessed=self.input is None or self.output is None,
        )


def _is_count(value: Json) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0

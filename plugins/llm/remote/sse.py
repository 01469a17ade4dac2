"""Server-sent events from chunks of bytes, however they are cut.

As the WHATWG HTML standard, 9.2.6 "Interpreting an event stream", has it, with two bounds of ours.
What the fields `id` and `retry` are for, connecting again, is no use here: they are read over.
"""

import re

import msgspec

from plugins.llm.errors import ModelError, Trouble

__all__ = ["Event", "EventStream"]

MAX_LINE_BYTES = 1024 * 1024
MAX_EVENT_BYTES = 4 * 1024 * 1024

_BREAK = re.compile(rb"\r\n|\r|\n")
_BOM = b"\xef\xbb\xbf"


class Event(msgspec.Struct, frozen=True):
    """One event: its lines of data, joined by line feeds."""

    data: str
    name: str = "message"


class EventStream:
    """Give it the body piece by piece; it gives the events that are complete. One that the body's end cuts off is none,
    as the standard wants it."""

    def __init__(self, *, max_line: int = MAX_LINE_BYTES, max_event: int = MAX_EVENT_BYTES) -> None:
        self._max_line = max_line
        self._max_event = max_event
        self._line = bytearray()
        """What has come of the line under way."""
        self._is_first = True
        self._after_return = False
        """The last byte was a CR, so an LF that follows belongs to it."""
        self._name = ""
        self._data: list[str] = []
        self._size = 0

    def feed(self, chunk: bytes) -> list[Event]:
        """Raises ModelError (invalid_output) for what is no UTF-8, or longer than the bounds."""
        if chunk and self._after_return:
            chunk = chunk.removeprefix(b"\n")
            self._after_return = False
        if not chunk:
            return []
        self._after_return = chunk.endswith(b"\r")
        *lines, rest = _BREAK.split(chunk)
        events = []
        for line in lines:
            self._grow(line)
            whole = bytes(self._line)
            self._line.clear()
            if event := self._read(whole):
                events.append(event)
        self._grow(rest)
        return events

    def _grow(self, piece: bytes) -> None:
        self._line += piece
        if len(self._line) > self._max_line:
            raise ModelError(
                Trouble.INVALID, f"it sent a line of more than {self._max_line} bytes: is `url` a model's?"
            )

    def _read(self, line: bytes) -> Event | None:
        """One line without its end; the event that it completes."""
        if self._is_first:
            self._is_first = False
            line = line.removeprefix(_BOM)
        if not line:
            return self._complete()
        try:
            text = line.decode()
        except UnicodeDecodeError as error:
            raise ModelError(
                Trouble.INVALID, f"it sent bytes that are no UTF-8 ({line[error.start : error.start + 4].hex(' ')})"
            ) from None
        field, _, value = text.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            self._name = value
        elif field == "data":
            self._size += len(line)
            if self._size > self._max_event:
                raise ModelError(Trouble.INVALID, f"it sent an event of more than {self._max_event} bytes")
            self._data.append(value)
        return None

    def _complete(self) -> Event | None:
        event = Event("\n".join(self._data), self._name or "message") if self._data else None
        self._name, self._data, self._size = "", [], 0
        return event

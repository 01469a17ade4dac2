"""The newest log lines, kept in memory for who asks from afar: `ganglion log`. Masked as those on standard error."""

import logging
import secrets
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated

import msgspec
from msgspec import Meta

from agent.logs import Revealed, fields_of, masked
from engine.clock import format_time
from engine.control import Refused, Verb
from engine.control.messages import Answer, Request
from engine.values import Json

KEPT_LINES, KEPT_CHARACTERS = 2000, 1_000_000
LONGEST = 8_000
"""Characters of a message or a trace; the rest is cut off."""
MOST_AT_ONCE, MOST_CHARACTERS = 1000, 128_000
"""In one answer."""
MOST_NUMBER = 2.0**63
_LEVELS = logging.getLevelNamesMapping()
_FORMATTER = logging.Formatter()


class LogQuery(Request, frozen=True, kw_only=True):
    """The newest `limit` lines; with `after`, the first ones that follow that number."""

    limit: Annotated[int, Meta(ge=0, le=MOST_AT_ONCE)] = 50
    level: str = "debug"
    """At least so grave: debug, info, warning, error."""
    after: int | None = None
    run: str = ""
    """The run of the agent that `after` counts in: another one begins anew."""


class LogLine(Answer, frozen=True, kw_only=True, omit_defaults=True):
    number: int
    """Counts up from 1 since the agent's start."""
    time: str
    level: str
    logger: str
    message: str
    fields: dict[str, Json] = msgspec.field(default_factory=dict)
    exception: str = ""


class LogLines(Answer, frozen=True, kw_only=True):
    """Oldest first."""

    agent: str
    run: str
    """Another one after each start."""
    lines: list[LogLine]
    last: int
    """Number of the newest line that was looked at: ask on from there."""
    missed: int = 0
    """Lines that followed `after`, but are kept no more."""


class LogTail(logging.Handler):
    """Keeps the newest lines. Within `kept_tail` every record of the process comes here, from any thread."""

    def __init__(self, revealed: Revealed) -> None:
        super().__init__()
        self._revealed = revealed
        self._lines: deque[tuple[int, LogLine, int]] = deque()  # severity, line, characters
        self._characters = 0
        self._last = 0
        self._run = secrets.token_hex(4)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self._line(record)
        except Exception:
            self.handleError(record)
            return
        size = len(line.message) + len(line.exception) + sum(len(str(value)) for value in line.fields.values())
        self._lines.append((record.levelno, line, size))
        self._characters += size
        while len(self._lines) > KEPT_LINES or (self._characters > KEPT_CHARACTERS and len(self._lines) > 1):
            self._characters -= self._lines.popleft()[2]

    def _line(self, record: logging.LogRecord) -> LogLine:
        known = [*self._revealed()]
        self._last += 1
        trace = _FORMATTER.formatException(record.exc_info) if record.exc_info else ""
        return LogLine(
            number=self._last,
            time=format_time(int(record.created * 1_000_000)),
            level=record.levelname.lower(),
            logger=record.name,
            message=_text(record.getMessage(), known),
            fields={name: _plain(value, known) for name, value in fields_of(record).items()},
            exception=_text(trace, known),
        )

    def since(self, query: LogQuery, agent: str) -> LogLines:
        """What was asked for, as far as one answer holds it. Raises Refused for an unknown level."""
        least = _LEVELS.get(query.level.upper())
        if least is None:
            raise Refused(400, f"level {query.level}: expected one of debug, info, warning, error")
        self.acquire()
        try:
            kept, last = list(self._lines), self._last
        finally:
            self.release()
        after = 0 if query.run not in ("", self._run) and query.after is not None else query.after
        wanted = [(line, size) for severity, line, size in kept if severity >= least and line.number > (after or 0)]
        if after is None:
            return LogLines(agent=agent, run=self._run, lines=_fitting(wanted[::-1], query.limit)[::-1], last=last)
        lines = _fitting(wanted, query.limit)
        if len(lines) < len(wanted):
            last = lines[-1].number if lines else after
        oldest = kept[0][1].number if kept else last + 1
        return LogLines(agent=agent, run=self._run, lines=lines, last=last, missed=max(0, oldest - 1 - after))

    def verb(self, agent: str) -> Verb:
        async def log(query: LogQuery) -> LogLines:
            return self.since(query, agent)

        return Verb(
            name="log", description="The newest log lines, and on from there.", request=LogQuery, answer=LogLines,
            handle=log,
        )  # fmt: skip


@contextmanager
def kept_tail(revealed: Revealed) -> Iterator[LogTail]:
    """The log lines of the process, from here to the block's end."""
    tail = LogTail(revealed)
    root = logging.getLogger()
    root.addHandler(tail)
    try:
        yield tail
    finally:
        root.removeHandler(tail)


def _fitting(lines: Sequence[tuple[LogLine, int]], limit: int) -> list[LogLine]:
    """As many as an answer holds, but one at least."""
    fitting: list[LogLine] = []
    room = MOST_CHARACTERS
    for line, size in lines[:limit]:
        room -= size
        if fitting and room < 0:
            break
        fitting.append(line)
    return fitting


def _plain(value: Json, known: Sequence[tuple[str, str]]) -> Json:
    """A field's value as JSON, bounded, without the values of secrets."""
    if value is None or isinstance(value, bool) or (isinstance(value, int | float) and abs(value) < MOST_NUMBER):
        return value
    if isinstance(value, str):
        return _text(value, known)
    try:
        return _text(msgspec.json.encode(value, enc_hook=str).decode(), known)
    except (ValueError, TypeError, OverflowError):  # half a character, a number without end
        return _text(str(value), known)


def _text(text: str, known: Sequence[tuple[str, str]]) -> str:
    return masked(text, known)[:LONGEST].encode("utf-8", "replace").decode()

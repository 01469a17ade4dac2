"""Log lines on standard error: for people on a terminal, JSON for machines.

A record's fields travel as `extra={"fields": {...}}`. The last net: values of secrets that this process has revealed
are masked in every line, whoever wrote it.
"""

import json
import logging
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TextIO, TypeAlias

from engine.clock import format_time
from engine.values import Json

Revealed: TypeAlias = Callable[[], Iterable[tuple[str, str]]]
"""Names and values of the secrets to mask."""

SHORTEST = 4
"""Shorter values are not masked: they would blot out half of every line."""
_COLOURS = {"DEBUG": "\033[2m", "INFO": "\033[36m", "WARNING": "\033[33m", "ERROR": "\033[31m", "CRITICAL": "\033[31m"}
_LEVELS = logging.getLevelNamesMapping()
_CONTROL = {code: f"\\x{code:02x}" for code in (*range(0x20), 0x7F)} | {9: " ", 10: "\\n", 13: "\\r"}


class Human(logging.Formatter):
    """`12:00:01 info     engine  message  execution=…`, in colour if wanted."""

    def __init__(self, *, colour: bool) -> None:
        super().__init__()
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        level = record.levelname.lower()
        fields = "".join(f"  {key}={_short(value)}" for key, value in fields_of(record).items())
        message = record.getMessage().translate(_CONTROL)
        if self._colour:
            level = f"{_COLOURS.get(record.levelname, '')}{level:<7}\033[0m"
            fields = f"\033[2m{fields}\033[0m" if fields else ""
        else:
            level = f"{level:<7}"
        line = f"{clock} {level} {_short_name(record.name):<8} {message}{fields}"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


class Machine(logging.Formatter):
    """One JSON object per line."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": format_time(int(record.created * 1_000_000)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **fields_of(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


class Masked(logging.Formatter):
    """Another formatter's lines without the values of secrets."""

    def __init__(self, inner: logging.Formatter, revealed: Revealed) -> None:
        super().__init__()
        self._inner = inner
        self._revealed = revealed

    def format(self, record: logging.LogRecord) -> str:
        return masked(self._inner.format(record), self._revealed())


class StandardError(logging.StreamHandler[TextIO]):
    """Writes to what standard error is now: a live display puts itself there while it is shown."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:
        return sys.stderr

    @stream.setter
    def stream(self, value: TextIO) -> None:
        raise AttributeError("this handler has no stream of its own")


def set_up_logs(
    level: str, format: str, *, revealed: Revealed = lambda: (), stream: TextIO | None = None
) -> logging.Handler:
    """Send all log lines of the process to `stream` (standard error); gives the handler."""
    terminal = (stream or sys.stderr).isatty()
    inner = Machine() if format == "json" or (format == "auto" and not terminal) else Human(colour=terminal)
    handler = logging.StreamHandler(stream) if stream else StandardError()
    handler.setFormatter(Masked(inner, revealed))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.captureWarnings(True)
    if level != "debug":
        # A library's own remarks about connections are said by us, once and with what to do.
        for name in ("nats", "asyncio", "aiosqlite"):
            logging.getLogger(name).setLevel(logging.CRITICAL if name == "nats" else logging.WARNING)
    return handler


def masked(text: str, revealed: Iterable[tuple[str, str]]) -> str:
    """The text without the values of secrets, as they are and as JSON writes them."""
    for name, value in revealed:
        if len(value) >= SHORTEST:
            for form in (value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]):
                text = text.replace(form, f"[secret {name}]")
    return text


def engine_log(level: str, message: str, fields: Mapping[str, Json]) -> None:
    """What the engine and its nodes say; implements `engine.execution.services.Log`."""
    name = "ganglion.node" if "node" in fields else "ganglion.engine"
    logging.getLogger(name).log(_LEVELS.get(level.upper(), logging.INFO), message, extra={"fields": fields})


def fields_of(record: logging.LogRecord) -> Mapping[str, Json]:
    """The structured fields of a record."""
    fields: Mapping[str, Json] = getattr(record, "fields", {})
    return fields


def _short_name(name: str) -> str:
    return name.removeprefix("ganglion.").partition(".")[0]


def _short(value: Json) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text.translate(_CONTROL) if len(text) <= 200 else f"{text[:197].translate(_CONTROL)}…"

"""What commands show: tables and lines for people, JSON for scripts. Nothing from outside is taken for markup."""

import functools
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import msgspec

from engine.values import Json

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

WIDTH = 200
"""Columns when nobody looks: a pipe gets whole lines."""
_CONTROL = {code: "�" for code in (*range(0x20), *range(0x7F, 0xA0)) if code not in (9, 10)}
STYLES = {
    "completed": "green",
    "failed": "bold red",
    "partial": "yellow",
    "cancelled": "yellow",
    "cancelling": "yellow",
    "blocked": "bold red",
    "in_doubt": "bold red",
    "running": "cyan",
    "retrying": "yellow",
    "waiting": "blue",
    "paused": "blue",
    "queued": "dim",
    "pending": "dim",
    "ready": "dim",
    "skipped": "dim",
    "ok": "green",
    "warn": "yellow",
    "fail": "bold red",
}
"""Colours of states."""


@functools.cache
def console(*, error: bool = False) -> "Console":
    """The terminal; `error` is standard error."""
    from rich.console import Console

    stream = sys.stderr if error else sys.stdout
    width = None if stream.isatty() else WIDTH
    return Console(stderr=error, markup=False, highlight=False, emoji=False, soft_wrap=True, width=width)


def say(text: str = "") -> None:
    """A line on standard output."""
    sys.stdout.write(f"{clean(text)}\n")


def remark(text: str) -> None:
    """A line beside the result, on standard error."""
    sys.stderr.write(f"{clean(text)}\n")


def write_json(value: object) -> None:
    """One JSON document, on one line, at once: a follower of a pipe sees it now."""
    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")
    sys.stdout.flush()


def table(columns: Sequence[str], rows: Iterable[Sequence["str | Text"]], *, last_wraps: bool = False) -> None:
    """A table without lines; states are coloured by `state`."""
    from rich.table import Table

    grid = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        grid.add_column(column, no_wrap=not (last_wraps and column == columns[-1]), overflow="ellipsis")
    for row in rows:
        grid.add_row(*(clean(cell) if isinstance(cell, str) else cell for cell in row))
    console().print(grid)


def state(name: str) -> "Text":
    """A state in its colour."""
    from rich.text import Text

    return Text(name, style=STYLES.get(name, ""))


def clean(text: str) -> str:
    """Text from outside without what a terminal would obey."""
    return text.translate(_CONTROL)


def short(value: Json, limit: int = 80) -> str:
    """A value's JSON on one line, cut at `limit` characters."""
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def seconds(value: float | None) -> str:
    """How long something took: 12ms, 3.4s, 5m12s."""
    if value is None:
        return ""
    if value < 1:
        return f"{value * 1000:.0f}ms"
    if value < 60:
        return f"{value:.1f}s"
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02}m" if hours else f"{minutes}m{rest:02}s"


def local_time(text: str | None) -> str:
    """An RFC 3339 time as the clock on the wall here."""
    if not text:
        return ""
    from datetime import datetime

    moment = datetime.fromisoformat(text).astimezone()
    return f"{moment:%H:%M:%S}" if moment.date() == datetime.now().astimezone().date() else f"{moment:%Y-%m-%d %H:%M}"

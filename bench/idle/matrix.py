"""How the parts are shown: one line each for people, one figure each for machines."""

from collections.abc import Iterator, Mapping

from measure.figures import US, Row, median, number
from rich.console import Console
from rich.table import Table

from idle.node_red import NAME
from idle.rest import Rest

_COLUMNS = {
    "megabytes": ("memory", "MB"),
    "server_megabytes": ("of NATS", "MB"),
    "cpu_percent": ("processor", "%"),
    "wakeups": ("wakeups", "/s"),
    "server_wakeups": ("of NATS", "/s"),
    "bytes_an_hour": ("written", "B/h"),
    "start_kilobytes": ("before, once", "kB"),
}
"""Field -> heading, unit."""


def show_parts(rests: Mapping[str, Rest], seconds: float) -> None:
    """Print the table."""
    table = Table(title=f"at rest for {seconds:g} s, side by side; processor and bytes with NATS", title_justify="left")
    table.add_column("what")
    for heading, unit in _COLUMNS.values():
        table.add_column(f"{heading}\n{unit}", justify="right")
    for name, rest in rests.items():
        table.add_row(name, *(_cell(getattr(rest, field)) for field in _COLUMNS))
    Console(width=120).print(table)


def figures(rests: Mapping[str, Rest]) -> list[Row]:
    """The same, each by itself."""
    return [row for name, rest in rests.items() for row in _figures(name, rest)]


def _figures(name: str, rest: Rest) -> Iterator[Row]:
    who = NAME if name == NAME else US
    for field, (_, unit) in _COLUMNS.items():
        value: float | None = getattr(rest, field)
        if value is not None:
            yield median("footprint", who, f"{name}: {field}", [value], unit)


def _cell(value: float | None) -> str:
    return "" if value is None else number(value) if value else "0"

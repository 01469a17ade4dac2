"""`models list`: all models, and how they are in a running agent."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import msgspec

from agent.cli.addressed import to_fleet
from agent.cli.models.known import Begins, Shelf
from agent.cli.models.progress import size
from agent.cli.options import AsJson
from agent.cli.reach import Where
from agent.cli.screen import remark, say, table, write_json
from agent.cli.screen import state as colored
from agent.lock import holder

if TYPE_CHECKING:
    from rich.text import Text

    from plugins.llm.models import ModelState


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A model in the list; with --json it is printed as it is."""

    name: str
    provider: str
    state: str
    """As the agent says: resident, loading, idle, quarantined, stuck, damaged, remote. Where none runs, nothing is
    resident."""
    size_bytes: int = 0
    """Of its file; 0: remote, not there, or of another agent."""
    memory_bytes: int = 0
    context: int = 0
    """Tokens; 0: the provider knows."""
    source: str = ""
    """configuration or added; empty: of another agent."""
    waiting: int = 0
    running: int = 0
    generations: int = 0
    """Since the agent's start."""
    output_tokens: int = 0
    problem: str = ""


@to_fleet
def listing(*, where: Where, as_json: AsJson = False) -> None:
    """List all models: those of the configuration, and those that were added.

    An agent that runs says what is in memory, and who waits for it. Where none runs, the list is that of the
    configuration and the data directory.

      ganglion models list --fleet '*'
    """
    shelf = Shelf(where.config, where.data_dir)
    is_running = holder(shelf.data_path) is not None
    lines, begun = _lines(shelf, shelf.states()), shelf.begun()
    if as_json:
        write_json({"is_running": is_running, "models": lines, "begun": begun})
        return
    _show(lines, begun)
    if not is_running:
        remark(f"no agent runs on {shelf.data_path}, so none of them is in memory")


def _lines(shelf: Shelf, states: "Iterable[ModelState]") -> list[Line]:
    """How each is, and what is known of it here."""
    lines = []
    for one in states:
        known = shelf.known(one.name)
        live = msgspec.structs.asdict(one)
        lines.append(Line(**live, size_bytes=known.size_bytes, context=shelf.context(one.name), source=known.source))
    return lines


def _show(lines: Sequence[Line], begun: Sequence[Begins]) -> None:
    if lines:
        columns = ("NAME", "PROVIDER", "SIZE", "STATE", "MEMORY", "CONTEXT", "SOURCE", "PROBLEM")
        table(columns, (_cells(line) for line in lines), last_wraps=True)
    else:
        say("no models: ganglion models add FILE|URL brings one, or write [models.NAME] into the configuration")
    for one in begun:
        of = f" of {size(one.total)}" if one.total else ""
        remark(f"{one.name} is not whole yet, {size(one.done)}{of}: give its `models add` again, or remove it")


def _cells(line: Line) -> "list[str | Text]":
    queue = f"{line.running} running, {line.waiting} waiting" if line.running or line.waiting else ""
    return [
        line.name,
        line.provider,
        size(line.size_bytes) if line.size_bytes else "",
        colored(line.state),
        size(line.memory_bytes) if line.memory_bytes else "",
        str(line.context or ""),
        line.source,
        line.problem or queue,
    ]

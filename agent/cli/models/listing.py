"""`models list`: all models, and how they are in a running agent."""

from typing import TYPE_CHECKING

import msgspec

from agent.cli.addressed import to_fleet
from agent.cli.fleetwide import each
from agent.cli.models.known import Begins, Shelf
from agent.cli.models.live import states_here
from agent.cli.models.progress import size
from agent.cli.options import AsJson
from agent.cli.reach import Where, ask
from agent.cli.screen import remark, say, table, write_json
from agent.cli.screen import state as colored
from agent.lock import holder

if TYPE_CHECKING:
    from rich.text import Text

    from agent.model_desk import AgentModels, ModelInfo


COLUMNS = ("NAME", "PROVIDER", "SIZE", "STATE", "MEMORY", "CONTEXT", "SOURCE", "")
OF_HERE = ("SIZE", "CONTEXT", "SOURCE")
"""What only the machine itself knows."""


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


class Models(msgspec.Struct, frozen=True, kw_only=True):
    """The list, as --json prints it."""

    agent: str
    """Who said how they are; empty: nobody, since none runs here."""
    models: list[Line]
    begun: tuple[Begins, ...] = ()
    """Downloads that are not whole yet."""


@to_fleet
def listing(*, where: Where, as_json: AsJson = False) -> None:
    """List all models: those of the configuration, and those that were added.

    An agent that runs says what is in memory, and who waits for it. Where none runs, the list is that of the
    configuration and the data directory.

      ganglion models list --fleet site=berlin
    """
    from agent.model_desk import AgentModels
    from engine.control.messages import Nothing

    if where.fleet is not None:
        each(where, lambda client: client.call("models", Nothing(), AgentModels), _in_lines, as_json=as_json)
        return
    if where.url or where.agent:
        answer = ask(where, "models", Nothing(), AgentModels)
        found = Models(agent=answer.agent, models=[Line(**msgspec.structs.asdict(one)) for one in answer.models])
        shelf = None
    else:
        shelf = Shelf(where.config, where.data_dir)
        agent, infos = states_here(shelf, where)
        found = Models(agent=agent, models=[_line(shelf, info) for info in infos], begun=shelf.begun())
    if as_json:
        write_json(found)
        return
    _show(found, is_here=shelf is not None)
    if shelf is not None and holder(shelf.data_path) is None:
        remark(f"no agent runs on {shelf.data_path}, so none of them is in memory")


def _line(shelf: Shelf, info: "ModelInfo") -> Line:
    """How it is, and what is known of it here."""
    known = shelf.known(info.name)
    context, problem = shelf.look(info.name) if known.source else (0, "")
    values = msgspec.structs.asdict(info) | {"problem": info.problem or problem}
    return Line(**values, size_bytes=known.size_bytes, context=context, source=known.source)


def _in_lines(answer: "AgentModels") -> str:
    """Of one agent of many."""
    told = []
    for one in answer.models:
        parts = (
            one.name, one.state, size(one.memory_bytes) if one.memory_bytes else "", _queue(one.running, one.waiting),
            one.problem,
        )  # fmt: skip
        told.append("  ".join(filter(None, parts)))
    return "\n".join(told) or "no models"


def _show(found: Models, *, is_here: bool) -> None:
    columns = [column for column in COLUMNS if is_here or column not in OF_HERE]
    if found.models:
        table(columns, ([_cell(line, column) for column in columns] for line in found.models), last_wraps=True)
    else:
        say("no models: ganglion models add FILE|URL brings one, or write [models.NAME] into the configuration")
    for one in found.begun:
        of = f" of {size(one.total)}" if one.total else ""
        remark(f"{one.name} is not whole yet, {size(one.done)}{of}: give its `models add` again, or remove it")


def _cell(line: Line, column: str) -> "str | Text":
    match column:
        case "STATE":
            return colored(line.state)
        case "SIZE":
            return size(line.size_bytes) if line.size_bytes else ""
        case "MEMORY":
            return size(line.memory_bytes) if line.memory_bytes else ""
        case "CONTEXT":
            return str(line.context or "")
        case "":
            return line.problem or _queue(line.running, line.waiting)
        case _:
            return str(getattr(line, column.lower()))


def _queue(running: int, waiting: int) -> str:
    return f"{running} running, {waiting} waiting" if running or waiting else ""

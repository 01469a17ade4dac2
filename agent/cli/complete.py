"""Shell completion of names that only a running agent knows. Slow or absent agents complete nothing, quickly."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from typer import Context

from agent.cli.reach import Where, ask, fleet_line
from agent.cli.whereabouts import labels_of
from engine.control.messages import Definitions, Executions, List, Nothing
from engine.control.views import NodeInfo, Show, Shown

if TYPE_CHECKING:
    from agent.cli.models.known import Known, Shelf
    from mesh.presence.members import Member

LOOK_SECONDS, CALL_SECONDS = 0.5, 1.0
"""How long the shell waits for the names of agents, and for what one of them knows."""


def workflows(context: Context, incomplete: str) -> list[str]:
    """Names of deployed workflows."""
    try:
        answer = ask(_where(context), "workflows", Nothing(), Definitions)
    except Exception:  # a completion must never print
        return []
    return [info.workflow for info in answer.definitions if info.workflow.startswith(incomplete)]


def executions(context: Context, incomplete: str) -> list[tuple[str, str]]:
    """Ids of the newest executions, with what they are."""
    try:
        answer = ask(_where(context), "list", List(limit=50), Executions)
    except Exception:
        return []
    return [
        (info.execution, f"{info.workflow} {info.status}")
        for info in answer.executions
        if info.execution.startswith(incomplete)
    ]


def nodes(context: Context, incomplete: str) -> list[tuple[str, str]]:
    """Paths in the execution that the command line names, with what became of them."""
    # A command line that ends with `--node` can't be parsed: then its words are all that there is.
    id = context.params.get("id") or next((word for word in context.args if not word.startswith("-")), None)
    if not id:
        return []
    holder = incomplete.rpartition("/")[0] if "/" in incomplete else ""
    try:
        request = Show(execution=str(id), node=holder, all=bool(holder))
        shown = ask(_where(context), "show", request, Shown)
    except Exception:
        return []
    return [(path, status) for path, status in _paths(shown.nodes) if path.startswith(incomplete)]


def models(context: Context, incomplete: str) -> list[tuple[str, str]]:
    """Names of models in the configuration and the data directory, with who provides them."""
    try:
        return [(one.name, f"{one.provider}, {one.source}") for one in _known_models(context, incomplete)]
    except Exception:
        return []


def added_models(context: Context, incomplete: str) -> list[tuple[str, str]]:
    """Of those the ones that `models add` has brought, whole or in part."""
    try:
        begun = [(one.name, "not whole yet") for one in _shelf(context).begun() if one.name.startswith(incomplete)]
        whole = [(one.name, one.provider) for one in _known_models(context, incomplete) if one.source == "added"]
        return [*whole, *begun]
    except Exception:
        return []


def agents(context: Context, incomplete: str) -> list[tuple[str, str]]:
    """Ids of the agents that are or were there, with how they are."""
    return [
        (member.beat.agent, " ".join([member.state.value, *labels_of(member)]))
        for member in _members(context)
        if member.beat.agent.startswith(incomplete)
    ]


def labels(context: Context, incomplete: str) -> list[tuple[str, str]]:
    """Labels in use, after those that are there already."""
    before, comma, begun = incomplete.rpartition(",")
    counts = Counter(label for member in _members(context) for label in labels_of(member))
    return [
        (f"{before}{comma}{label}", f"{count} agent{'' if count == 1 else 's'}")
        for label, count in sorted(counts.items())
        if label.startswith(begun)
    ]


def _known_models(context: Context, incomplete: str) -> "list[Known]":
    shelf = _shelf(context)
    return [shelf.known(name) for name in shelf.names() if name.startswith(incomplete)]


def _shelf(context: Context) -> "Shelf":
    from agent.cli.models.known import Shelf

    return Shelf(context.params.get("config"), context.params.get("data_dir"))


def _members(context: Context) -> "list[Member]":
    given = context.params
    where = Where(given.get("config"), given.get("data_dir"), given.get("url"), fleet="*")

    async def look() -> "list[Member]":
        from mesh.presence.members import members

        async with asyncio.timeout(LOOK_SECONDS), fleet_line(where) as (line, tenant):
            return await members(line.nc, tenant)

    try:
        return asyncio.run(look())
    except Exception:
        return []


def _where(context: Context) -> Where:
    """The agent that the command line names so far."""
    given = context.params
    return Where(
        given.get("config"), given.get("data_dir"), given.get("url"), given.get("agent"), timeout=CALL_SECONDS
    )  # fmt: skip


def _paths(infos: Sequence[NodeInfo]) -> Iterator[tuple[str, str]]:
    for info in infos:
        yield info.path, info.status
        for body in info.bodies:
            yield body.path, body.status
            yield from _paths(body.nodes)

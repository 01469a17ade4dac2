"""Do the nodes of a file fit together: known nodes and ports, something to wait for, no circle."""

from collections.abc import Mapping

from engine.definition.graph import Cycle, topological_levels
from engine.definition.model import RunIf
from engine.definition.node import Draft
from engine.definition.problems import Path, Problems, shown, suggestion
from engine.values import Json

__all__ = ["check_edges"]


def check_edges(drafts: list[Draft], written: Mapping[str, Json], problems: Problems) -> None:
    """A problem for every edge that leads nowhere, and one for a circle."""
    known = {draft.id: draft for draft in drafts}
    for draft in drafts:
        _check_needs(draft, known, written[draft.id], problems)
        node = draft.node
        if node is not None and node.run_if is not RunIf.SUCCESS and not node.needs and not node.references:
            message = f"run_if: {node.run_if} asks how other nodes ended"
            problems.add(("nodes", node.id, "run_if"), message, "add `needs: …`")
    result = topological_levels(
        {
            draft.id: {need.node for need in draft.needs if need.node != draft.id} | set(draft.references)
            for draft in drafts
        }
    )
    if isinstance(result, Cycle):
        message = f"the nodes wait for each other in a circle: {result}"
        problems.add(("nodes", result.path[0]), message, "remove one of these edges")


def _check_needs(draft: Draft, known: Mapping[str, Draft], written: Json, problems: Problems) -> None:
    several = isinstance(written, Mapping) and isinstance(written.get("needs"), list)
    for place, need in enumerate(draft.needs):
        path: Path = ("nodes", draft.id, "needs", place) if several else ("nodes", draft.id, "needs")
        if need.node not in known:
            problems.add(path, f"there is no node {need.node[:64]}", suggestion(need.node, known))
        elif need.node == draft.id:
            problems.add(path, f"{draft.id} needs itself", "a node needs other nodes")
        elif need.port is not None:
            _check_port(known[need.node], need.port, path, problems)


def _check_port(draft: Draft, port: str, path: Path, problems: Problems) -> None:
    if draft.type is None:
        return
    if draft.type.ports is None:
        message = f"{draft.id} has no ports: it is of type {draft.type.name}"
        problems.add(path, message, f"write `needs: {draft.id}`")
    elif draft.node is not None:
        ports = draft.type.ports(draft.node.params)
        if port not in ports:
            problems.add(path, f"{draft.id} has no port {shown(port)}", suggestion(port, ports))

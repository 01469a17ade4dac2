"""Which other workflows a workflow starts, as far as its file says their names."""

from collections.abc import Collection, Iterator, Mapping

from engine.definition.model import Node, Workflow
from engine.definition.problems import suggestion

__all__ = ["unknown_calls"]


def unknown_calls(workflow: Workflow, known: Collection[str], where: str) -> tuple[str, ...]:
    """One sentence for each call of a workflow that is not known; `where` says known to whom, such as `deployed`."""
    names = {*known, workflow.name}
    return tuple(
        f"nodes.{node}.workflow: no workflow named {name} is {where}"
        + (f" ({hint})" if (hint := suggestion(name, names, otherwise="")) and hint.startswith("did") else "")
        + "; it must be deployed when this node runs"
        for node, name in _calls(workflow.nodes)
        if name not in names
    )


def _calls(nodes: Mapping[str, Node]) -> Iterator[tuple[str, str]]:
    for node in nodes.values():
        name = node.params.get("workflow") if node.type == "workflow" else None
        if isinstance(name, str) and "{{" not in name:
            yield node.id, name.partition("@")[0]
        for body in node.bodies.values():
            yield from _calls(body.nodes)

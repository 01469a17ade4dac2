"""Do the nodes of a group fit together: known nodes and ports, something to wait for, no circle."""

from collections.abc import Mapping

import msgspec

from engine.contract import NodeType
from engine.definition.graph import Cycle, topological_levels
from engine.definition.model import Need, Node, RunIf
from engine.definition.problems import Path, Problems, shown, suggestion
from engine.definition.survey import Group, Site, Survey

__all__ = ["Draft", "Edges"]


class Draft(msgspec.Struct, frozen=True):
    """What could be read of a node, so that its edges are checked even where something else is wrong."""

    site: Site
    needs: tuple[Need, ...] = ()
    seen: tuple[Site, ...] = ()
    """Nodes outside of it that its fields, and what it holds, refer to."""
    node: Node | None = None
    """None where something is wrong with it."""

    @property
    def references(self) -> tuple[str, ...]:
        """Ids of the nodes beside it among those."""
        return tuple(other.id for other in self.seen if other.group is self.site.group)


class Edges:
    """Checks the edges of the groups of one file."""

    def __init__(self, survey: Survey, problems: Problems) -> None:
        self._survey = survey
        self._problems = problems

    def check(self, group: Group, drafts: list[Draft]) -> None:
        """A problem for every edge that leads nowhere, and one for a circle."""
        known = {draft.site.id: draft for draft in drafts}
        references = {draft.site.id: draft.references for draft in drafts}
        for draft in drafts:
            self._check_needs(draft, known)
            node = draft.node
            if node is not None and node.run_if is not RunIf.SUCCESS and not node.needs and not node.references:
                message = f"run_if: {node.run_if} asks how other nodes ended"
                self._problems.add((*draft.site.path, "run_if"), message, "add `needs: …`")
        result = topological_levels(
            {
                id: {need.node for need in draft.needs if need.node != id} | set(references[id])
                for id, draft in known.items()
            }
        )
        if isinstance(result, Cycle):
            message = f"the nodes wait for each other in a circle: {result}"
            self._problems.add((*group.path, result.path[0]), message, "remove one of these edges")

    def _check_needs(self, draft: Draft, known: Mapping[str, Draft]) -> None:
        site = draft.site
        written = site.tree.get("needs") if isinstance(site.tree, Mapping) else None
        if draft.needs and site.group.alone and site.group.holder is not None:
            message = f"the nodes of {site.group.holder.id} run alone, each when it is asked for"
            self._problems.add((*site.path, "needs"), message, "remove needs")
            return
        for place, need in enumerate(draft.needs):
            path: Path = (*site.path, "needs", place) if isinstance(written, list) else (*site.path, "needs")
            if need.node == site.id:
                self._problems.add(path, f"{site.id} needs itself", "a node needs other nodes")
            elif need.node not in known:
                self._explain_absence(site, need, path)
            elif need.port is not None:
                self._check_port(site.group.sites[need.node].type, known[need.node], need.port, path)

    def _explain_absence(self, site: Site, need: Need, path: Path) -> None:
        """Only nodes that stand together need each other."""
        other, group = self._survey.homes.get(need.node), site.group
        holder = None if other is None else other.group.holder
        if other is not None and group.holder is not None and other.group in group.view.groups:
            hint = f"write `needs: {need}` in {group.holder.dotted}, or refer to nodes.{need.node}"
            self._problems.add(path, f"{need.node} is not beside it but outside: {other.dotted}", hint)
        elif holder is not None:
            beside = holder.group is group
            hint = f"write `needs: {holder.id}`" if beside else "only nodes that stand together need each other"
            self._problems.add(path, f"{need.node} is not beside it but inside {holder.dotted}", hint)
        else:
            self._problems.add(
                path, f"there is no node {need.node[:64]}", self._problems.suggest(need.node, group.sites)
            )

    def _check_port(self, type: NodeType | None, draft: Draft, port: str, path: Path) -> None:
        id = draft.site.id
        if type is None:
            return
        if type.ports is None:
            self._problems.add(path, f"{id} has no ports: it is of type {type.name}", f"write `needs: {id}`")
        elif draft.node is not None:
            ports = type.ports(draft.node.params)
            if port not in ports:
                self._problems.add(path, f"{id} has no port {shown(port)}", suggestion(port, ports))

"""The nodes inside a control-flow node, and what is evaluated in their scope."""

from collections.abc import Callable, Mapping

from engine.contract import Body, NodeType, Role
from engine.definition import model
from engine.definition.edges import Draft, Edges
from engine.definition.formulas import Formulas
from engine.definition.problems import Path, Problems, shown
from engine.definition.survey import Group, Site, View, at, stands
from engine.values import Json

__all__ = ["BodyReader"]


class BodyReader:
    """Reads the bodies of a node; `read_group` reads the nodes in one, and so what they hold in turn."""

    def __init__(
        self, *, formulas: Formulas, edges: Edges, read_group: Callable[[Group], list[Draft]], problems: Problems
    ) -> None:
        self._formulas = formulas
        self._edges = edges
        self._read_group = read_group
        self._problems = problems

    def read(self, site: Site, type: NodeType, seen: dict[Site, None], *, sound: bool) -> dict[str, model.Body]:
        """The bodies that the node has; `seen` gets every node outside of it that something inside refers to. Unless
        the node's own fields are `sound`, what is made of them is left alone."""
        bodies = {}
        for name, body in type.bodies.items():
            group = site.bodies.get(name)
            if body.made is not None and (group is None or not sound):
                continue
            if group is None:
                self._check_absent(site, body)
                continue
            outward: dict[Site, None] = {}
            bodies[name] = self._body(body, site, group, outward)
            seen.update((other, None) for other in outward if other.group not in site.bodies.values())
        return bodies

    def _body(self, body: Body, site: Site, group: Group, outward: dict[Site, None]) -> model.Body:
        before = None
        if body.before is not None:
            before = self._expression(site, body.before, group.around, outward)
            if at(site.tree, body.before) is None:
                self._missing(site, body.before, "an expression without braces")
        drafts = self._read_group(group)
        self._edges.check(group, drafts)
        for draft in drafts:
            outward.update((other, None) for other in draft.seen if other.group is not group)
        asks = {}
        for name, place in body.asks.items():
            expression = self._expression(site, place, group.view, outward, inside=group)
            if expression is not None:
                asks[name] = expression
        after: dict[str, Json] = {}
        for name, place in body.after.items():
            if stands(site.tree, place):
                after[name] = at(site.tree, place)
                found = self._formulas.read(after[name], (*site.path, *place), group.view)
                outward.update((other, None) for other in found.sites if other.group is not group)
        results: dict[str, Json] = {}
        places = {} if body.choice is None else {id: body.choice(id) for id in group.sites}
        for id, place in places.items():
            if stands(site.tree, place):
                results[id] = at(site.tree, place)
                found = self._formulas.read(results[id], (*site.path, *place), group.view_of(id))
                outward.update((other, None) for other in found.sites if other.group is not group)
        return model.Body(
            nodes={draft.site.id: draft.node for draft in drafts if draft.node is not None},
            outward=tuple(other.id for other in outward),
            names=group.names,
            before=before,
            after=after,
            asks=asks,
            results=results,
            choice=body.choice is not None,
            made=body.made is not None,
            handled=body.handled,
        )

    def _expression(
        self, site: Site, place: tuple[str, ...], view: View, outward: dict[Site, None], inside: Group | None = None
    ) -> str | None:
        written = at(site.tree, place)
        path: Path = (*site.path, *place)
        if isinstance(written, bool):
            return "true" if written else "false"
        if not isinstance(written, str):
            if written is not None:
                self._problems.add(path, f"expected an expression without braces, got {shown(written)}")
            return None
        found = self._formulas.read(written, path, view, role=Role.EXPRESSION)
        outward.update((other, None) for other in found.sites if other.group is not inside)
        return written

    def _check_absent(self, site: Site, body: Body) -> None:
        """A body at the top of a node is what the node is for; one that is deeper may be left out with all of it."""
        around = at(site.tree, body.at[:-1])
        if isinstance(around, Mapping) and body.at[-1] not in around:
            self._missing(site, body.at, "an object of nodes")

    def _missing(self, site: Site, place: tuple[str, ...], expected: str) -> None:
        name = place[-1]
        self._problems.add((*site.path, *place[:-1]), f"{name} is missing", f"add `{name}: …`, {expected}")

"""Where every node of a file stands, and what the expressions at each place see.

Nodes stand in groups: the workflow's own, and one for each body of a control-flow node. Groups are found before
anything in them is read, so that a reference may lead to a node that comes later in the file.
"""

from collections.abc import Callable, Mapping

from engine.contract import Body, NodeType
from engine.definition.fields import is_object
from engine.definition.limits import MAX_NESTING, MAX_NODES
from engine.definition.names import check_as, check_name
from engine.definition.problems import Path, Problems, dotted, shown
from engine.values import Json

__all__ = ["Group", "Site", "Survey", "View", "at", "stands"]

_UNIQUE = "names are unique in a file: rename one"


class View:
    """What the expressions at one place of a file see."""

    __slots__ = ("groups", "holders", "names")

    def __init__(self, groups: tuple["Group", ...], names: frozenset[str], holders: frozenset[str]) -> None:
        self.groups = groups
        """Whose nodes: from the inside outwards, with bodies that are seen."""
        self.names = names
        """Of the bodies around: `item`, `index`, `row` …"""
        self.holders = holders
        """Nodes that hold this place: they have not ended when it is evaluated."""

    def find(self, id: str) -> "Site | None":
        """The node of this name, if it can be seen from here."""
        for group in self.groups:
            if id in group.sites:
                return group.sites[id]
        return None


class Group:
    """Nodes that stand together."""

    __slots__ = ("alone", "around", "holder", "names", "path", "sites", "view")

    def __init__(
        self, path: Path, holder: "Site | None", around: View, names: tuple[str, ...] = (), *, alone: bool = False
    ) -> None:
        self.path = path
        """Of the object that holds its nodes."""
        self.holder = holder
        """The control-flow node whose body it is; None for the workflow's own."""
        self.names = names
        """What else is known in it, by `Body.names`."""
        self.sites: dict[str, Site] = {}
        self.alone = alone
        """Its nodes do not see each other."""
        self.around = around
        """What is seen before any node of it has run."""
        self.view = View((self, *around.groups), around.names, around.holders)

    def view_of(self, id: str) -> View:
        """What is seen when of all its nodes only this one has run."""
        group = Group(self.path, self.holder, self.around, self.names)
        group.sites[id] = self.sites[id]
        return group.view


class Site:
    """A node as written, and where it stands."""

    __slots__ = ("bodies", "group", "id", "path", "tree", "type")

    def __init__(self, id: str, tree: Json, group: Group, path: Path | None = None) -> None:
        """`path`: where it is told of, if that is not where it stands."""
        self.id = id
        self.tree = tree
        self.group = group
        self.path: Path = (*group.path, id) if path is None else path
        self.type: NodeType | None = None
        """None where it is missing or unknown: that is a problem already."""
        self.bodies: dict[str, Group] = {}

    @property
    def dotted(self) -> str:
        return dotted(self.path)

    @property
    def view(self) -> View:
        """What its fields see."""
        return self.group.around if self.group.alone else self.group.view

    @property
    def within(self) -> str | None:
        """The name by which its fields would refer to itself; one that stands alone does not see itself."""
        return None if self.group.alone else self.id


class Survey:
    """All nodes of a file. A name that is there twice is a problem."""

    def __init__(
        self,
        nodes: Mapping[str, Json],
        *,
        params: Mapping[str, Json],
        type_of: Callable[[Mapping[str, Json], Path], NodeType | None],
        problems: Problems,
    ) -> None:
        self._params = params
        self._type_of = type_of
        self._problems = problems
        self._count = 0
        self._chosen: dict[str, Path] = {}
        self.homes: dict[str, Site] = {}
        """Every node of the file by its name."""
        self.names: dict[str, list[Site]] = {}
        """The names of bodies -> the nodes in which they are known."""
        self.root = Group(("nodes",), None, View((), frozenset(), frozenset()))
        self._enter(self.root, nodes, 0)
        for name, path in self._chosen.items():
            if name in self.homes:
                problems.add(path, f"a node is named {name} too", _UNIQUE)
        if self.is_too_large:
            problems.add(("nodes",), f"more than {MAX_NODES} nodes", "split the workflow")

    @property
    def is_too_large(self) -> bool:
        """There are more nodes than are looked at."""
        return self._count > MAX_NODES

    def _enter(self, group: Group, nodes: Mapping[str, Json], depth: int) -> None:
        self._count += len(nodes)
        if self.is_too_large:
            return
        for id, tree in nodes.items():
            site = Site(id, tree, group)
            group.sites[id] = site
            check_name(id, site.path, self._problems, kind="node")
            self._check_unique(site)
            if is_object(tree, site.path, self._problems):
                site.type = self._type_of(tree, site.path)
                if site.type is not None and site.type.bodies:
                    self._enter_bodies(site, site.type, depth + 1)

    def _check_unique(self, site: Site) -> None:
        if site.id in self._params:
            self._problems.add(site.path, f"a parameter is named {site.id} too", _UNIQUE)
        first = self.homes.setdefault(site.id, site)
        if first is not site:
            self._problems.add(site.path, f"a node is named {site.id} already: {first.dotted}", _UNIQUE)

    def _enter_bodies(self, site: Site, type: NodeType, depth: int) -> None:
        for name, body in type.bodies.items():
            if body.made is not None:
                self._enter_made(site, name, body, body.made(site.tree))
                continue
            nodes = at(site.tree, body.at)
            path = (*site.path, *body.at)
            if not stands(site.tree, body.at) or not is_object(nodes, path, self._problems):
                continue
            if depth > MAX_NESTING:
                message = f"nodes inside nodes go deeper than {MAX_NESTING} levels"
                self._problems.add(path, message, "move the inner ones to a workflow of their own")
                continue
            if not nodes:
                self._problems.add(path, "there are no nodes", "add one, such as `hello: {type: log, message: hi}`")
            self._check_chosen(at(site.tree, (*body.at[:-1], "as")), body, site)
            site.bodies[name] = self._group(site, body, path)
            self._enter(site.bodies[name], nodes, depth)
        self._check_made(site, type)

    def _enter_made(self, site: Site, name: str, body: Body, nodes: Mapping[str, Json] | None) -> None:
        """Nodes that do not stand in the file: what is wrong with them is told where the node is that has them."""
        if nodes is None:
            return
        self._count += len(nodes)
        group = site.bodies[name] = self._group(site, body, site.path)
        for id, tree in nodes.items():
            made = group.sites[id] = Site(id, tree, group, site.path)
            made.type = self._type_of(made.tree, site.path)

    def _check_made(self, site: Site, type: NodeType) -> None:
        """Within a node names are unique, made ones too: they tell the nodes of an execution from each other."""
        made = {id for name, group in site.bodies.items() if type.bodies[name].made is not None for id in group.sites}
        for name, group in site.bodies.items():
            for id in made & group.sites.keys() if type.bodies[name].made is None else ():
                message = f"{site.id} has a node {id} of its own"
                self._problems.add(group.sites[id].path, message, "rename this one")

    def _group(self, site: Site, body: Body, path: Path) -> Group:
        words = body.names(site.tree)
        for word in words:
            self.names.setdefault(word, []).append(site)
        outer = site.view
        seen = [site.bodies[other] for other in body.sees if other in site.bodies]
        around = View((*seen, *outer.groups), outer.names.union(words), outer.holders | {site.id})
        return Group(path, site, around, words, alone=body.made is not None or body.choice is not None)

    def _check_chosen(self, name: Json, body: Body, site: Site) -> None:
        """The name that a person gives to an item or an error stands as `as` beside the nodes."""
        path = (*site.path, *body.at[:-1], "as")
        if not isinstance(name, str):
            if name is not None:
                self._problems.add(path, f"expected text, got {shown(name)}", "call it something like row")
            return
        check_as(name, path, self._problems)
        if name in self._params:
            self._problems.add(path, f"a parameter is named {name} too", _UNIQUE)
        first = self._chosen.setdefault(name, path)
        if first != path:
            self._problems.add(path, f"{dotted(first)} is {name} already", _UNIQUE)


def at(tree: Json, place: tuple[str, ...]) -> Json:
    """What stands at a place inside a node; None if nothing does."""
    for key in place:
        if not isinstance(tree, Mapping):
            return None
        tree = tree.get(key)
    return tree


def stands(tree: Json, place: tuple[str, ...]) -> bool:
    """Whether anything is written at a place inside a node, be it null; nothing is where there is no place."""
    if not place:
        return False
    around = at(tree, place[:-1])
    return isinstance(around, Mapping) and place[-1] in around

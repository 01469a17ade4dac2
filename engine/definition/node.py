"""One node of a file: the fields that any node has, those of its type, and what it holds."""

from collections.abc import Mapping
from typing import Any

import msgspec

from engine.contract import Effect, NodeType, NodeTypes, Role
from engine.definition.bodies import BodyReader
from engine.definition.edges import Draft, Edges
from engine.definition.fields import check_known, convert, is_object
from engine.definition.form import COMMON, INSIDE_ONLY, NOT_IMPLEMENTED, CacheForm, NodeForm
from engine.definition.formulas import Formulas
from engine.definition.model import UNDEFINED, Cache, Need, Node, OnError, RetryPolicy
from engine.definition.own_fields import OwnFields
from engine.definition.problems import Path, Problems, shown
from engine.definition.static_fields import merge_retry, read_static_fields
from engine.definition.statics import Statics
from engine.definition.survey import Group, Site
from engine.values import Json

__all__ = ["NodeReader", "type_of"]

_EVALUATED = ("when", "default", "cache")
"""Common fields that are evaluated per attempt, or in part; all others are read at deploy."""


_OF_ATTEMPTS = ("timeout", "deadline", "retry")
"""Defaults that a node with nodes inside does not take: they are meant for what does the work."""


class NodeReader:
    """Reads the nodes of a file; whether those of a group fit together is a question of its own."""

    def __init__(
        self, *, statics: Statics, formulas: Formulas, edges: Edges, defaults: dict[str, Any], problems: Problems
    ) -> None:
        self._statics = statics
        self._formulas = formulas
        self._defaults = defaults
        self._problems = problems
        self._own = OwnFields(statics=statics, formulas=formulas, problems=problems)
        self._bodies = BodyReader(formulas=formulas, edges=edges, read_group=self.read_group, problems=problems)
        self.read_nodes: list[tuple[Path, Node]] = []
        """Every node that is right, inner ones first, and where it stands."""

    def read_group(self, group: Group) -> list[Draft]:
        """The nodes that stand together, as far as they are right."""
        return [self.read(site) for site in group.sites.values()]

    def read(self, site: Site) -> Draft:
        """The node, as far as it is right."""
        found = len(self._problems)
        if not isinstance(site.tree, Mapping):
            return Draft(site)
        seen: dict[Site, None] = {}
        common = self._common(site, seen)
        needs = common.get("needs", ())
        if site.type is None:
            self._own.read_untyped(site, seen)
            return Draft(site, needs, tuple(seen))
        type, path = site.type, site.path
        params = self._own.read(site, type, seen)
        bodies = self._bodies.read(site, type, seen, sound=len(self._problems) == found)
        effect = common.pop("effect", None) or type.effect
        if effect is Effect.PURE and not type.pure_capable and not type.bodies:
            self._problems.add(
                (*path, "effect"), f"a node of type {type.name} is never pure", "remove it, or say at_least_once"
            )
        if effect is Effect.AT_MOST_ONCE and common.get("cache") is not None:
            hint = "remove it, or say effect: at_least_once"
            self._problems.add((*path, "cache"), "what must happen once is not answered from a cache", hint)
        draft = Draft(site, needs, tuple(seen))
        if len(self._problems) > found:
            return draft
        defaults = self._defaults
        if type.bodies:
            defaults = {name: value for name, value in defaults.items() if name not in _OF_ATTEMPTS}
        node = Node(
            id=site.id,
            type=type.name,
            params=params,
            references=draft.references,
            effect=effect,
            bodies=bodies,
            **defaults | common,
        )
        self.read_nodes.append((path, node))
        return msgspec.structs.replace(draft, node=node)

    def _common(self, site: Site, seen: dict[Site, None]) -> dict[str, Any]:
        """The common fields that the node gives, decoded as a Node has them."""
        path, view = site.path, site.view
        given = {name: value for name, value in site.tree.items() if name in COMMON and name != "type"}
        values = read_static_fields(NodeForm, given, path, self._statics, self._problems, skip=_EVALUATED)
        common = {name: values[name] for name in values if name not in ("needs", "retry", "type")}
        if "needs" in values:
            common["needs"] = self._needs(values["needs"], (*path, "needs"))
        if "retry" in given:
            common["retry"] = merge_retry(
                self._defaults.get("retry", RetryPolicy()),
                given["retry"],
                (*path, "retry"),
                self._statics,
                self._problems,
            )
        if "when" in given:
            when = convert(given["when"], str | bool, (*path, "when"), self._problems)
            if isinstance(when, bool):
                when = None if when else "false"
            elif when is not None:
                found = self._formulas.read(when, (*path, "when"), view, role=Role.EXPRESSION, within=site.within)
                seen.update(dict.fromkeys(found.sites))
            common["when"] = when
        if "default" in given:
            common["default"] = given["default"]
            found = self._formulas.read(given["default"], (*path, "default"), view, within=site.within)
            seen.update(dict.fromkeys(found.sites))
            if values.get("on_error") is OnError.FAIL:
                self._problems.add(
                    (*path, "on_error"),
                    "default replaces a failed output, so on_error: fail never applies",
                    "remove one",
                )
        if given.get("cache") is not None and not (site.type is not None and site.type.bodies):
            common["cache"] = self._cache(given["cache"], site, seen)
        for name in ("timeout", "deadline"):
            if common.get(name) == 0:
                self._problems.add((*path, name), "expected more than 0s", "remove it for no limit")
        if common.get("limits") is not None and common["limits"].wall_time == 0:
            self._problems.add((*path, "limits", "wall_time"), "expected more than 0s", "remove it for no limit")
        for name in INSIDE_ONLY if site.type is not None and site.type.bodies else ():
            if name in site.tree and site.type is not None:
                message = f"a node of type {site.type.name} has no {name}: each node inside has its own"
                self._problems.add((*path, name), message, "put it on a node inside")
        return common

    def _cache(self, written: Json, site: Site, seen: dict[Site, None]) -> Cache | None:
        """Its time is read at deploy, its key evaluated per attempt."""
        path: Path = (*site.path, "cache")
        if not is_object(written, path, self._problems):
            return None
        check_known(written, ("ttl", "key"), path, self._problems, where="field")
        if "ttl" not in written:
            self._problems.add(path, "ttl is missing", "add `ttl: …`, a duration such as 1h")
        values = read_static_fields(CacheForm, written, path, self._statics, self._problems, skip=("key",))
        if values.get("ttl") == 0:
            self._problems.add((*path, "ttl"), "expected more than 0s", "remove `cache` to run it each time")
        if "key" in written:
            found = self._formulas.read(written["key"], (*path, "key"), site.view, within=site.within)
            seen.update(dict.fromkeys(found.sites))
            values["key"] = written["key"]
        return Cache(**values) if "ttl" in values else None

    def _needs(self, written: str | list[str], path: Path) -> tuple[Need, ...]:
        needs: dict[Need, None] = {}
        for place, text in enumerate([written] if isinstance(written, str) else written):
            where = path if isinstance(written, str) else (*path, place)
            node, dot, port = text.partition(".")
            need = Need(node, port if dot else None)
            if not node or (dot and not port):
                self._problems.add(where, f"expected a node, or node.port, got {shown(text)}")
                continue
            if need in needs:
                self._problems.add(where, f"{need} is there twice", "remove one of them")
            needs[need] = None
        return tuple(needs)


def type_of(
    tree: Mapping[str, Json], path: Path, types: NodeTypes, statics: Statics, problems: Problems
) -> NodeType | None:
    """The type of a node, if it says one that there is."""
    known = types.names()
    place = (*path, "type")
    if "type" not in tree:
        problems.add(path, "type is missing", f"add `type: …`, one of {', '.join(known)}")
        return None
    name = statics.read(tree["type"], place)
    if name is UNDEFINED:
        return None
    if not isinstance(name, str):
        problems.add(place, f"expected the name of a node type, got {shown(name)}")
        return None
    type = types.get(name)
    if type is None:
        if name in NOT_IMPLEMENTED["node type"]:
            problems.add(place, f"the node type {name} is not implemented by this version", "remove the node")
        else:
            problems.add(place, f"there is no node type {name[:64]}", problems.suggest(name, known))
    elif off := types.disabled(name):
        problems.add(place, off)
    return type

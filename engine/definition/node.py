"""One node of a file: the fields that any node has, those of its type, and what it holds."""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import inspect

from engine.contract import Effect, NodeType, NodeTypes, Role, role_of
from engine.definition.bodies import BodyReader
from engine.definition.edges import Draft, Edges
from engine.definition.fields import check_known, convert, expected, fields_of, read_fields
from engine.definition.form import INSIDE_ONLY, NOT_IMPLEMENTED, NodeForm
from engine.definition.formulas import Formulas
from engine.definition.model import UNDEFINED, Need, Node, OnError, RetryPolicy
from engine.definition.problems import Path, Problems, shown, suggestion
from engine.definition.statics import Statics
from engine.definition.survey import Group, Site
from engine.values import Json, encode_json

__all__ = ["COMMON", "NodeReader", "merge_retry", "read_static_fields", "type_of"]

COMMON = {field.encode_name: field for field in fields_of(NodeForm)}
_EVALUATED = ("when", "default")
"""Common fields that are evaluated per attempt; all others are read at deploy."""


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
            self._read_untyped(site, seen)
            return Draft(site, needs, tuple(seen))
        type, path = site.type, site.path
        params = self._params(site, type, seen)
        bodies = self._bodies.read(site, type, seen)
        effect = common.pop("effect", None) or type.effect
        if effect is Effect.PURE and not type.pure_capable and not type.bodies:
            self._problems.add(
                (*path, "effect"), f"a node of type {type.name} is never pure", "remove it, or say at_least_once"
            )
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
        path, view = site.path, site.group.view
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
                found = self._formulas.read(when, (*path, "when"), view, role=Role.EXPRESSION, within=site.id)
                seen.update(dict.fromkeys(found.sites))
            common["when"] = when
        if "default" in given:
            common["default"] = given["default"]
            found = self._formulas.read(given["default"], (*path, "default"), view, within=site.id)
            seen.update(dict.fromkeys(found.sites))
            if values.get("on_error") is OnError.FAIL:
                self._problems.add(
                    (*path, "on_error"),
                    "default replaces a failed output, so on_error: fail never applies",
                    "remove one",
                )
        for name in ("timeout", "deadline"):
            if common.get(name) == 0:
                self._problems.add((*path, name), "expected more than 0s", "remove it for no limit")
        for name in INSIDE_ONLY if site.type is not None and site.type.bodies else ():
            if name in site.tree and site.type is not None:
                message = f"a node of type {site.type.name} has no {name}: each node inside has its own"
                self._problems.add((*path, name), message, "put it on a node inside")
        return common

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

    def _params(self, site: Site, type: NodeType, seen: dict[Site, None]) -> dict[str, Json]:
        """The type's own fields, as written; static ones evaluated."""
        tree, path = site.tree, site.path
        fields = {field.encode_name: field for field in fields_of(type.params)}
        fields = {name: field for name, field in fields.items() if name not in COMMON}
        written = {name: value for name, value in tree.items() if name not in COMMON}
        self._check_fields(type, written, fields, path)
        params: dict[str, Json] = {}
        values: dict[str, Any] = {}
        before = len(self._problems)
        whole = True
        for name, field in fields.items():
            place = (*path, name)
            if name not in written:
                if field.required:
                    self._problems.add(path, f"{name} is missing", f"add `{name}: …`, {expected(field.type)}")
                continue
            value, role = written[name], role_of(field)
            if role is Role.BODY:
                constant = True  # its texts are read with the body
            elif role is Role.STATIC:
                value = self._statics.read(value, place)
                constant = value is not UNDEFINED
            else:
                found = self._formulas.read(value, place, site.group.view, role=role, within=site.id)
                seen.update(dict.fromkeys(found.sites))
                constant = found.constant
                value = self._nested(field, value, place)
            params[name] = value
            whole = whole and constant
            if constant:
                fit = encode_json(value).decode() if _is_written_out(field.type, value) else value
                values[field.name] = convert(fit, field.type, place, self._problems)
        if whole and len(self._problems) == before:
            try:
                type.params(**values)
            except (TypeError, ValueError) as error:
                self._problems.add(path, f"a node of type {type.name} {error}")
        if type.check is not None and len(self._problems) == before:
            for at, message, hint in type.check(params):
                self._problems.add((*path, *at), message, hint)
        return params

    def _nested(self, field: msgspec.structs.FieldInfo, value: Json, path: Path) -> Json:
        """An object with its static fields evaluated, as far as they can be; its names are checked in any case."""
        struct = _struct_of(field.type)
        if struct is None or not isinstance(value, Mapping):
            return value
        fields = {inner.encode_name: inner for inner in fields_of(struct)}
        check_known(value, fields, path, self._problems, where="field")
        for name, inner in fields.items():
            if inner.required and name not in value:
                self._problems.add(path, f"{name} is missing", f"add `{name}: …`, {expected(inner.type)}")
        evaluated = dict(value)
        for name in value:
            if name in fields and role_of(fields[name]) is Role.STATIC:
                found = self._statics.read(value[name], (*path, name))
                if found is not UNDEFINED:
                    evaluated[name] = found
                    convert(found, fields[name].type, (*path, name), self._problems)
        return evaluated

    def _check_fields(self, type: NodeType, written: Mapping[str, Json], fields: Mapping[str, Any], path: Path) -> None:
        for name in written:
            if name in fields or (type.bodies and name in INSIDE_ONLY):
                continue
            if name in NOT_IMPLEMENTED["node field"]:
                check_known({name: None}, (), path, self._problems, where="node field")
            else:
                self._problems.add(
                    (*path, name),
                    f"a node of type {type.name} has no field {name[:64]}",
                    suggestion(name, [*fields, *COMMON]),
                )

    def _read_untyped(self, site: Site, seen: dict[Site, None]) -> None:
        """Without its type a node's fields have no roles, but what they refer to can be checked; unless it holds nodes,
        whose place in it only the type knows."""
        for name, value in site.tree.items():
            path = (*site.path, name)
            if name in NOT_IMPLEMENTED["node field"]:
                check_known({name: None}, (), site.path, self._problems, where="node field")
            elif name not in COMMON and "nodes" not in site.tree:
                found = self._formulas.read(value, path, site.group.view, role=Role.SECRET, within=site.id)
                seen.update(dict.fromkeys(found.sites))


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
            problems.add(place, f"there is no node type {name[:64]}", suggestion(name, known))
    elif off := types.disabled(name):
        problems.add(place, off)
    return type


def read_static_fields(
    form: type[msgspec.Struct],
    tree: Mapping[str, Json],
    path: Path,
    statics: Statics,
    problems: Problems,
    *,
    skip: tuple[str, ...] = (),
) -> dict[str, Any]:
    """The valid fields that are read at deploy. The others, and those in `skip`, are left out."""
    values: dict[str, Any] = {}
    for field in fields_of(form):
        name = field.encode_name
        if name not in tree or name in skip:
            continue
        value = statics.read(tree[name], (*path, name))
        if value is not UNDEFINED:
            found = len(problems)
            read = convert(value, field.type, (*path, name), problems)
            if len(problems) == found:
                values[field.name] = read
    return values


def merge_retry(policy: RetryPolicy, tree: Json, path: Path, statics: Statics, problems: Problems) -> RetryPolicy:
    """A policy with the fields that a file gives in place of its own."""
    written = statics.read(tree, path)
    if written is UNDEFINED:
        return policy
    fields = read_fields(RetryPolicy, written, path, Problems("")) or {}
    merged = msgspec.structs.replace(policy, **fields)
    if merged.delay > merged.max_delay:
        if "max_delay" in fields:
            problems.add((*path, "max_delay"), "max_delay is less than delay", "raise it, or remove it")
        merged = msgspec.structs.replace(merged, max_delay=merged.delay)
    return merged


def _struct_of(type: Any) -> type[msgspec.Struct] | None:
    """The object with named fields that is the only object that a field takes."""
    info = inspect.type_info(type)
    while isinstance(info, inspect.Metadata):
        info = info.type
    members = info.types if isinstance(info, inspect.UnionType) else (info,)
    objects = [member for member in members if isinstance(member, inspect.StructType | inspect.DictType)]
    return objects[0].cls if len(objects) == 1 and isinstance(objects[0], inspect.StructType) else None


def _is_written_out(type: Any, value: Json) -> bool:
    """Whether a number or boolean stands where only text fits: it is written out, as in a text that is evaluated."""
    info = inspect.type_info(type)
    while isinstance(info, inspect.Metadata):
        info = info.type
    return isinstance(info, inspect.StrType) and isinstance(value, int | float)

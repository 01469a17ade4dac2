"""The fields of a node that its type declares."""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import inspect

from engine.contract import NodeType, Role, role_of
from engine.definition.fields import check_known, convert, expected, fields_of
from engine.definition.form import COMMON, INSIDE_ONLY, NOT_IMPLEMENTED
from engine.definition.formulas import Formulas
from engine.definition.model import UNDEFINED
from engine.definition.problems import Path, Problems, shown
from engine.definition.statics import Statics
from engine.definition.survey import Site
from engine.expressions import Scope, compile_expression, compile_text
from engine.values import Json, encode_json

__all__ = ["OwnFields"]

_NO_SCOPE = Scope({}, now=0, seed="")


class OwnFields:
    """Reads them, as their roles say."""

    def __init__(self, *, statics: Statics, formulas: Formulas, problems: Problems) -> None:
        self._statics = statics
        self._formulas = formulas
        self._problems = problems

    def read(self, site: Site, type: NodeType, seen: dict[Site, None]) -> dict[str, Json]:
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
                evaluated = _without_raw(field, value)
                found = self._formulas.read(evaluated, place, site.view, role=role, within=site.within)
                seen.update(dict.fromkeys(found.sites))
                constant = found.constant
                if found.fixed and not constant and isinstance(evaluated, str):
                    self._check_fixed(field, role, evaluated, place)
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

    def _check_fixed(self, field: msgspec.structs.FieldInfo, role: Role, source: str, path: Path) -> None:
        """What always gives the same must fit, as if that stood in the file."""
        program = compile_expression(source) if role is Role.EXPRESSION else compile_text(source)
        value = program.evaluate(_NO_SCOPE)
        if expected(field.type) == "text" and value is not None:  # anything is written out there
            return
        try:
            msgspec.convert(value, field.type)
        except msgspec.ValidationError:
            self._problems.add(path, f"expected {expected(field.type)}, got {shown(value)} from {shown(source)}")

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
            role = role_of(fields[name]) if name in fields else Role.TEMPLATE
            if role in (Role.STATIC, Role.RAW):
                found = self._statics.read(value[name], (*path, name)) if role is Role.STATIC else value[name]
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
                    self._problems.suggest(name, fields, COMMON),
                )

    def read_untyped(self, site: Site, seen: dict[Site, None]) -> None:
        """Without its type a node's fields have no roles, but what they refer to can be checked; unless it holds nodes,
        whose place in it only the type knows."""
        for name, value in site.tree.items():
            path = (*site.path, name)
            if name in NOT_IMPLEMENTED["node field"]:
                check_known({name: None}, (), site.path, self._problems, where="node field")
            elif name not in COMMON and "nodes" not in site.tree:
                found = self._formulas.read(value, path, site.view, role=Role.SECRET, within=site.within)
                seen.update(dict.fromkeys(found.sites))


def _struct_of(type: Any) -> type[msgspec.Struct] | None:
    """The object with named fields that is the only object that a field takes."""
    info = inspect.type_info(type)
    while isinstance(info, inspect.Metadata):
        info = info.type
    members = info.types if isinstance(info, inspect.UnionType) else (info,)
    objects = [member for member in members if isinstance(member, inspect.StructType | inspect.DictType)]
    return objects[0].cls if len(objects) == 1 and isinstance(objects[0], inspect.StructType) else None


def _without_raw(field: msgspec.structs.FieldInfo, value: Json) -> Json:
    """What of a field's value is evaluated."""
    struct = _struct_of(field.type)
    if struct is None or not isinstance(value, Mapping):
        return value
    raw = {inner.encode_name for inner in fields_of(struct) if role_of(inner) is Role.RAW}
    return {name: item for name, item in value.items() if name not in raw} if raw else value


def _is_written_out(type: Any, value: Json) -> bool:
    """Whether a number or boolean stands where only text fits: it is written out, as in a text that is evaluated."""
    info = inspect.type_info(type)
    while isinstance(info, inspect.Metadata):
        info = info.type
    return isinstance(info, inspect.StrType) and isinstance(value, int | float)

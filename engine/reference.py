"""What people read about a node type, made from its declaration: `ganglion nodes [TYPE]` and the documentation.

Nothing is written twice: the words come from the params struct, so they cannot differ from what is checked.
"""

from collections.abc import Iterable, Iterator

import msgspec
from msgspec import inspect
from msgspec.structs import replace

from engine.contract import Body, Effect, NodeType, Role, role_of
from engine.values import Json

__all__ = ["ParamReference", "TypeReference", "describe"]


class ParamReference(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the table of parameters."""

    name: str
    """Dotted for what is inside an object: `auth.basic.user`; NAME stands for any name."""
    type: str
    """In words: string, integer, number, boolean, list of …, object of …, any, object of nodes, expression, or the
    values that it may have."""
    required: bool
    default: Json | msgspec.UnsetType = msgspec.UNSET
    """Absent where leaving the parameter out means that there is none."""
    description: str
    role: Role


class TypeReference(msgspec.Struct, frozen=True, kw_only=True):
    """The page about a node type."""

    name: str
    aliases: tuple[str, ...]
    description: str
    effect: Effect
    pure_capable: bool
    ports: tuple[str, ...]
    """Outlets that every node of this type has; empty for a type that does not branch."""
    params: tuple[ParamReference, ...]
    example: str


def describe(node_type: NodeType) -> TypeReference:
    """The reference of a node type. Pure."""
    return TypeReference(
        name=node_type.name,
        aliases=node_type.aliases,
        description=node_type.description,
        effect=node_type.effect,
        pure_capable=node_type.pure_capable,
        ports=() if node_type.ports is None else node_type.ports({}),
        params=tuple(
            _in_body(row, node_type.bodies.values())
            for field in msgspec.structs.fields(node_type.params)
            for row in _rows(field, "", role_of(field))
        ),
        example=node_type.example,
    )


def _rows(field: msgspec.structs.FieldInfo, prefix: str, role: Role) -> Iterator[ParamReference]:
    kind = inspect.type_info(field.type)
    name = prefix + field.encode_name
    yield ParamReference(
        name=name,
        type=_words(kind),
        required=field.required,
        default=_default(field),
        description=_description(kind),
        role=role,
    )
    for place, struct in _structs(kind):
        for inner in msgspec.structs.fields(struct):
            own = role_of(inner)
            yield from _rows(inner, f"{name}.{place}", role if own is Role.TEMPLATE else own)


def _in_body(row: ParamReference, bodies: Iterable[Body]) -> ParamReference:
    """The row of a parameter, as a body that it belongs to reads it."""
    place = tuple(row.name.split("."))
    for body in bodies:
        if place == body.at and body.made is None:
            return replace(row, type="object of nodes", required=True, default=msgspec.UNSET)
        if place == body.before:
            return replace(row, type="expression", required=True, default=msgspec.UNSET)
        if place in body.asks.values():
            return replace(row, type="expression")
    return row


def _default(field: msgspec.structs.FieldInfo) -> Json | msgspec.UnsetType:
    value = field.default if field.default is not msgspec.NODEFAULT else None
    if field.default_factory is not msgspec.NODEFAULT:
        value = field.default_factory()
    if value is None or value is msgspec.UNSET:
        return msgspec.UNSET
    return list(value) if isinstance(value, tuple) else msgspec.to_builtins(value)


def _description(kind: inspect.Type) -> str:
    schema = kind.extra_json_schema if isinstance(kind, inspect.Metadata) else None
    return str((schema or {}).get("description", ""))


def _structs(kind: inspect.Type) -> Iterator[tuple[str, type[msgspec.Struct]]]:
    """The objects with named fields in a type: itself, one of its alternatives, or one for each name."""
    kind = _bare(kind)
    for member in kind.types if isinstance(kind, inspect.UnionType) else (kind,):
        inner = _bare(member.value_type) if isinstance(member, inspect.DictType) else None
        if isinstance(member, inspect.StructType):
            yield "", member.cls
        elif isinstance(inner, inspect.StructType):
            yield "NAME.", inner.cls


def _bare(kind: inspect.Type) -> inspect.Type:
    while isinstance(kind, inspect.Metadata):
        kind = kind.type
    return kind


def _words(kind: inspect.Type) -> str:
    kind = _bare(kind)
    if isinstance(kind, inspect.UnionType):
        words = [_words(member) for member in kind.types if not isinstance(member, inspect.NoneType)]
        if "number" in words:
            words = [word for word in words if word != "integer"]
        return " | ".join(words)
    if isinstance(kind, inspect.EnumType):
        return " | ".join(str(member.value) for member in kind.cls)
    if isinstance(kind, inspect.LiteralType):
        return " | ".join(map(str, kind.values))
    if isinstance(kind, inspect.ListType | inspect.VarTupleType):
        return _of("list", kind.item_type)
    if isinstance(kind, inspect.DictType):
        return _of("object", kind.value_type)
    return _NAMES.get(type(kind), "any")


def _of(outer: str, item: inspect.Type) -> str:
    words = _words(item)
    if words == "any":
        return outer
    return f"{outer} of ({words})" if "|" in words else f"{outer} of {words}"


_NAMES: dict[type[inspect.Type], str] = {
    inspect.StrType: "string",
    inspect.IntType: "integer",
    inspect.FloatType: "number",
    inspect.BoolType: "boolean",
    inspect.NoneType: "null",
    inspect.StructType: "object",
}

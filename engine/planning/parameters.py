"""A node's parameters: fields as written become a program; evaluated, they become the type's own struct."""

from collections.abc import Mapping
from typing import Any

import msgspec

from engine.contract import Role, role_of
from engine.expressions import Program, Scope, compile_expression, compile_tree
from engine.values import Json, encode_json


class InvalidParameters(ValueError):
    """An evaluated parameter does not have the type that the node type asks for."""


class _Field(msgspec.Struct, frozen=True):
    name: str
    program: Program
    type: Any
    is_json: bool
    """Any value goes: handed over as it is, not copied."""
    is_text: bool
    """Only text goes: other values are written as JSON."""


class Parameters:
    """The compiled fields of one node."""

    __slots__ = ("_build", "_constant", "_fields", "_fixed", "volatile")

    def __init__(self, struct: type[msgspec.Struct], written: Mapping[str, Json]) -> None:
        """Raises ExpressionError for a field that does not compile, InvalidParameters for a constant of wrong type."""
        self._build = struct
        self._fixed: dict[str, Json] = {}
        self._fields: list[_Field] = []
        for info in msgspec.structs.fields(struct):
            if role_of(info) is Role.BODY:
                if info.encode_name in written:  # as it is written: the plan has what is evaluated in it
                    self._fixed[info.name] = _as_written(info, written[info.encode_name])
                elif info.required:
                    self._fixed[info.name] = None
            elif info.encode_name in written:
                field = _field(info, written[info.encode_name])
                if field.program.constant:
                    self._fixed[info.name] = _value(field, _NO_SCOPE)
                else:
                    self._fields.append(field)
        self._constant = None if self._fields else self._construct({})
        self.volatile = any(
            reference.root in _CHANGING for field in self._fields for reference in field.program.references
        )
        """Evaluated later in the same execution, they may give something else."""

    def evaluate(self, scope: Scope) -> msgspec.Struct:
        """The struct for one attempt. Raises ExpressionError or InvalidParameters."""
        if self._constant is not None:
            return self._constant
        return self._construct({field.name: _value(field, scope) for field in self._fields})

    def stored(self, params: msgspec.Struct) -> bytes:
        """What was evaluated, to be kept: a control-flow node goes on with the same after a restart."""
        return encode_json({field.name: msgspec.to_builtins(getattr(params, field.name)) for field in self._fields})

    def restored(self, body: bytes) -> msgspec.Struct:
        """The struct from what `stored` gave. Raises ValueError."""
        values = msgspec.json.decode(body)
        known = [field for field in self._fields if field.name in values]
        return self._construct({field.name: msgspec.convert(values[field.name], field.type) for field in known})

    def _construct(self, values: dict[str, Json]) -> msgspec.Struct:
        try:
            return self._build(**self._fixed, **values)
        except (TypeError, ValueError) as error:
            raise InvalidParameters(str(error)) from None


_CHANGING = frozenset({"vars", "agent"})
_NO_SCOPE = Scope({}, now=0, seed="")


def _field(info: msgspec.structs.FieldInfo, written: Json) -> _Field:
    expression = role_of(info) is Role.EXPRESSION and isinstance(written, str)
    kind = msgspec.inspect.type_info(info.type)
    while isinstance(kind, msgspec.inspect.Metadata):
        kind = kind.type
    members = kind.types if isinstance(kind, msgspec.inspect.UnionType) else (kind,)
    textual = (msgspec.inspect.StrType, msgspec.inspect.NoneType)
    return _Field(
        name=info.name,
        program=compile_expression(written) if expression else compile_tree(written),
        type=info.type,
        is_json=isinstance(kind, msgspec.inspect.AnyType),
        is_text=all(isinstance(member, textual) for member in members),
    )


def _as_written(info: msgspec.structs.FieldInfo, written: Json) -> Json:
    try:
        return msgspec.convert(written, info.type)
    except msgspec.ValidationError as error:
        raise InvalidParameters(f"{info.name}: {error}") from None


def _value(field: _Field, scope: Scope) -> Json:
    value = field.program.evaluate(scope)
    if field.is_json:
        return value
    if field.is_text and value is not None and not isinstance(value, str):
        value = encode_json(value).decode()
    try:
        return msgspec.convert(value, field.type)
    except msgspec.ValidationError as error:
        raise InvalidParameters(f"{field.name}: {error}") from None

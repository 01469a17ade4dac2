"""JSON Schema -> GBNF, the grammar that llama.cpp holds a model to.

Ours instead of llama-cpp-python's `json_schema_to_gbnf`: that lets raw control characters into strings, drops what
stands beside `anyOf` and `type: [...]`, breaks on quotes and backslashes in names and enums, puts spaces where small
models were trained without, and its nested `maxLength` overflows llama.cpp's bound on repetitions. Whatever this one
takes comes out as valid, compact JSON with the properties in the order in which they are written:

    object     declared properties only; without any, a small free-form object
    string     `maxLength` or MAX_STRING characters; format date, time, date-time, uuid
    number     15 digits before the point and after it; `minimum` >= 0 forbids the sign
    integer    15 digits; exact between `minimum` and `maximum`
    array      `maxItems` or MAX_ITEMS
    anyOf, enum, const, type: [...], $ref: "#/$defs/NAME" (recursive ones, too)

What a grammar can't hold (`multipleOf`, `uniqueItems`, bounds of numbers) is left to who reads the answer. A keyword
that would silently be lost is refused.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

from engine.values import Json
from plugins.llm.local.gbnf import Rules, literal
from plugins.llm.local.numerals import between

__all__ = ["check_schema", "grammar_of"]

MAX_STRING = 1000
"""Characters of a string without `maxLength`: so that a small model can't write for ever."""
MAX_ITEMS = 100
MAX_FREE = 16
"""Names of a free-form object."""
MAX_FREE_DEPTH = 3
MAX_DEPTH = 48
MAX_REPEAT = 2000
"""More than that llama.cpp takes as unbounded."""

_NOTES = frozenset({"title", "description", "default", "examples", "$schema", "$comment", "$defs", "definitions"})
_CHECKED_LATER = frozenset({"multipleOf", "uniqueItems", "exclusiveMinimum", "exclusiveMaximum"})
_KNOWN = {
    "object": frozenset({"properties", "required", "additionalProperties"}),
    "array": frozenset({"items", "minItems", "maxItems"}),
    "string": frozenset({"minLength", "maxLength", "format"}),
    "number": frozenset({"minimum", "maximum"}),
    "integer": frozenset({"minimum", "maximum"}),
    "boolean": frozenset(),
    "null": frozenset(),
}
_ANY_KNOWN = frozenset[str]().union(*_KNOWN.values())
_INSTEAD = {
    "oneOf": "write anyOf", "allOf": "write one object", "pattern": "write enum or format",
    "prefixItems": "write an object",
}  # fmt: skip

_FORMATS = ("date", "time", "date-time", "uuid")


def grammar_of(schema: Mapping[str, Json]) -> str:
    """The grammar's text; its root rule is `root`. Raises ValueError saying where the schema can't be kept."""
    return _grammar(json.dumps(schema, ensure_ascii=False))


@lru_cache(maxsize=64)
def _grammar(text: str) -> str:
    return _Converter(json.loads(text)).text()


def check_schema(schema: Mapping[str, Json]) -> str | None:
    """Why no grammar can be made of a schema, with the place; None: one can."""
    try:
        grammar_of(schema)
    except ValueError as error:
        return str(error)
    return None


class _Converter:
    def __init__(self, schema: Json) -> None:
        self._schema = schema
        self._defs: dict[str, Json] = {}
        if isinstance(schema, dict):
            for place in ("$defs", "definitions"):
                for name, item in _mapping(schema, place, ()).items():
                    self._defs[f"#/{place}/{name}"] = item
        self._rules = Rules()
        self._def_rules: dict[str, str] = {}

    def text(self) -> str:
        root = self._value(self._schema, ())
        for ref in self._def_rules:
            self._check_progress(ref)
        return self._rules.text(root)

    def _value(self, schema: Json, at: tuple[str, ...]) -> str:
        """A name, or something that stands for one item, that matches a value of the schema."""
        if schema is True:
            schema = {}
        if not isinstance(schema, dict):
            raise _error(at, "expected a schema, an object")
        if len(at) > MAX_DEPTH * 2:
            raise _error(at[:6], f"schemas are nested more than {MAX_DEPTH} deep")
        for word in ("$ref", "anyOf", "const", "enum"):
            if word in schema:
                kept = _NOTES | {word} | ({"type"} if word in ("const", "enum") else set())
                _refuse_others(schema, kept, at, f"would be lost beside {word}")
                return self._combined(word, schema, at)
        return self._typed(schema, at)

    def _combined(self, word: str, schema: dict[str, Json], at: tuple[str, ...]) -> str:
        value = schema[word]
        if word == "$ref":
            return self._reference(value, (*at, word))
        if word == "const":
            return self._rules.add(literal(value))
        if not isinstance(value, list) or not value:
            raise _error((*at, word), "expected a list of one or more")
        if word == "enum":
            return self._rules.add(" | ".join(dict.fromkeys(map(literal, value))))
        options = [self._value(item, (*at, word, str(i))) for i, item in enumerate(value)]
        return self._rules.add(" | ".join(dict.fromkeys(options)))

    def _reference(self, ref: Json, at: tuple[str, ...]) -> str:
        if not isinstance(ref, str) or ref not in self._defs:
            known = ", ".join(self._defs) or "there are none"
            raise _error(at, f"{ref!r} is not defined here; a reference names one of the schema's $defs: {known}")
        if ref not in self._def_rules:
            name = self._def_rules[ref] = f"def{len(self._def_rules)}"  # before its value: that may refer to it
            self._rules.define(name, self._value(self._defs[ref], (*ref.split("/")[1:],)))
        return self._def_rules[ref]

    def _check_progress(self, ref: str) -> None:
        """Refuse a definition that leads to itself with nothing written on the way."""
        seen, ahead = set[str](), list(_bare_references(self._defs[ref]))
        while ahead:
            other = ahead.pop()
            if other == ref:
                raise _error((*ref.split("/")[1:],), "refers to itself with nothing between")
            if other not in seen:
                seen.add(other)
                ahead += _bare_references(self._defs[other])

    def _typed(self, schema: dict[str, Json], at: tuple[str, ...]) -> str:
        kind = schema.get("type")
        if isinstance(kind, list) and kind:
            _refuse_others(schema, _NOTES | {"type"} | _ANY_KNOWN | _CHECKED_LATER, at, "can't be kept by a grammar")
            options = []
            for one in kind:
                if not isinstance(one, str) or one not in _KNOWN:
                    raise _error((*at, "type"), f"{one!r} is none of {', '.join(_KNOWN)}")
                own = {key: value for key, value in schema.items() if key in _KNOWN[one]}
                options.append(self._typed({**own, "type": one}, at))
            return self._rules.add(" | ".join(dict.fromkeys(options)))
        if kind is None and "properties" in schema:
            kind = "object"
        if kind is None and not schema.keys() - _NOTES:
            return self._free(MAX_FREE_DEPTH)
        if kind is None:
            _refuse_others(schema, _NOTES | _ANY_KNOWN | _CHECKED_LATER, at, "can't be kept by a grammar")
        if not isinstance(kind, str) or kind not in _KNOWN:
            raise _error((*at, "type"), f"expected one of {', '.join(_KNOWN)}, got {json.dumps(kind)}")
        _refuse_others(schema, _NOTES | {"type"} | _KNOWN[kind] | _CHECKED_LATER, at, "can't be kept by a grammar")
        match kind:
            case "object":
                return self._object(schema, at)
            case "array":
                return self._array(schema, at)
            case "string":
                return self._string(schema, at)
            case "integer" | "number":
                return self._number(kind, schema, at)
        return self._rules.fixed(kind)

    def _object(self, schema: dict[str, Json], at: tuple[str, ...]) -> str:
        properties = _mapping(schema, "properties", at)
        required = schema.get("required", [])
        if not isinstance(required, list) or not all(name in properties for name in required):
            raise _error((*at, "required"), "expected names of properties")
        if not properties:
            rest = schema.get("additionalProperties", True)
            if rest is False:
                return self._rules.add('"{}"')
            value = self._free(MAX_FREE_DEPTH - 1) if rest is True else self._value(rest, (*at, "additionalProperties"))
            return self._map(value)
        pairs = [
            f'{literal(name)} ":" {self._value(item, (*at, "properties", name))}' for name, item in properties.items()
        ]
        is_needed = [name in required for name in properties]
        after = [""]  # what may follow the first i pairs, from the back
        for pair, needed in zip(reversed(pairs), reversed(is_needed), strict=True):
            own = f'"," {pair}' if needed else f'("," {pair})?'
            after.append(self._rules.add(f"{own} {after[-1]}".rstrip()))
        after.reverse()
        first = is_needed.index(True) + 1 if True in is_needed else len(pairs)
        begins = [f"{pairs[i]} {after[i + 1]}".rstrip() for i in range(first)]
        inside = f"({' | '.join(begins)})" + ("" if True in is_needed else "?")
        return self._rules.add(f'"{{" {inside} "}}"')

    def _map(self, value: str) -> str:
        pair = self._rules.add(f'"\\"" {self._rules.chars(1, 64)} "\\":" {value}')
        return self._rules.add(f'"{{" ({pair} ("," {pair}){{0,{MAX_FREE - 1}}})? "}}"')

    def _free(self, depth: int) -> str:
        """Any value, `depth` objects or lists deep."""
        options = [
            self._string({}, ()),
            self._rules.fixed("number"),
            self._rules.fixed("boolean"),
            self._rules.fixed("null"),
        ]
        if depth > 0:
            inner = self._free(depth - 1)
            options += [self._map(inner), self._rules.add(f'"[" ({inner} ("," {inner}){{0,{MAX_FREE - 1}}})? "]"')]
        return self._rules.add(" | ".join(options))

    def _array(self, schema: dict[str, Json], at: tuple[str, ...]) -> str:
        least, most = _bounds(schema, "minItems", "maxItems", MAX_ITEMS, at)
        item = self._value(schema.get("items", {}), (*at, "items"))
        if most == 0:
            return self._rules.add('"[]"')
        further = self._rules.add(f'"," {item}')
        more = f"{item} {self._rules.repeated(further, max(least - 1, 0), most - 1)}".rstrip()
        return self._rules.add(f'"[" {more} "]"' if least else f'"[" ({more})? "]"')

    def _string(self, schema: dict[str, Json], at: tuple[str, ...]) -> str:
        form = schema.get("format")
        if form is not None:
            if form not in _FORMATS:
                raise _error((*at, "format"), f"expected one of {', '.join(_FORMATS)}, got {json.dumps(form)}")
            return self._rules.add(f'"\\"" {self._rules.fixed(str(form))} "\\""')
        least, most = _bounds(schema, "minLength", "maxLength", MAX_STRING, at)
        return self._rules.add(f'"\\"" {self._rules.chars(least, most)} "\\""')

    def _number(self, kind: str, schema: dict[str, Json], at: tuple[str, ...]) -> str:
        least, most = schema.get("minimum"), schema.get("maximum")
        for name in ("minimum", "maximum"):
            if name in schema and (isinstance(schema[name], bool) or not isinstance(schema[name], int | float)):
                raise _error((*at, name), f"expected a number, got {json.dumps(schema[name])}")
        if kind == "integer" and isinstance(least, int) and isinstance(most, int):
            if least > most:
                raise _error((*at, "minimum"), f"{least} is more than the maximum, {most}")
            if max(abs(least), abs(most)) < 10**15:
                return self._rules.add(" | ".join(between(least, most)))
        is_positive = isinstance(least, int | float) and least >= 0
        names = {"integer": ("integer", "natural"), "number": ("number", "positive")}[kind]
        return self._rules.fixed(names[is_positive])


def _mapping(schema: dict[str, Json], name: str, at: tuple[str, ...]) -> dict[str, Json]:
    value = schema.get(name, {})
    if not isinstance(value, dict):
        raise _error((*at, name), "expected an object")
    return value


def _bounds(schema: dict[str, Json], low: str, high: str, usual: int, at: tuple[str, ...]) -> tuple[int, int]:
    least = _whole(schema, low, 0, at)
    most = _whole(schema, high, max(usual, least), at)
    if least > most:
        raise _error((*at, low), f"{least} is more than {high}, {most}")
    return least, most


def _whole(schema: dict[str, Json], name: str, usual: int, at: tuple[str, ...]) -> int:
    value = schema.get(name, usual)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MAX_REPEAT or value % 1:
        raise _error((*at, name), f"expected a whole number up to {MAX_REPEAT}, got {json.dumps(value)}")
    return int(value)


def _bare_references(schema: Json) -> Iterator[str]:
    """References that stand for the whole value, before anything is written."""
    if isinstance(schema, dict):
        if isinstance(schema.get("$ref"), str):
            yield schema["$ref"]
        for option in schema.get("anyOf") or ():
            yield from _bare_references(option)


def _refuse_others(schema: dict[str, Json], kept: frozenset[str] | set[str], at: tuple[str, ...], why: str) -> None:
    for name in schema:
        if name not in kept:
            instead = _INSTEAD.get(name)
            raise _error((*at, name), f"{name} {why}" + (f"; {instead}" if instead else ""))


def _error(at: Sequence[str], what: str) -> ValueError:
    return ValueError(f"schema{''.join(f'.{part}' for part in at)}: {what}")

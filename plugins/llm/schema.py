"""JSON Schemas for answers: which of them are taken.

A schema becomes a grammar that a local model can't leave, and is handed to remote ones. So it may use what both keep:
the keywords below, everywhere in it. What a grammar can't hold (`minimum`, `uniqueItems`, the day of a date) is checked
when the answer is there (answers.py).
"""

import difflib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from engine.contract import Misfit
from engine.values import Json, encode_json
from plugins.llm.answers import FORMATS
from plugins.llm.local import grammar

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

__all__ = ["check_schema"]

MAX_SCHEMA_BYTES: Final = 32 * 1024
MAX_SCHEMA_DEPTH: Final = 24
"""Schemas inside schemas."""
MAX_STRING: Final = 2_000
"""The largest `maxLength` or `minLength`; each character is a step of the grammar."""
MAX_ITEMS: Final = 1_000
MAX_CHOICES: Final = 500
"""Of an enum."""

_NOTES: Final = frozenset({"title", "description", "default", "examples", "$schema", "$comment", "$defs"})
_BY_TYPE: Final[Mapping[str, frozenset[str]]] = {
    "object": frozenset({"properties", "required", "additionalProperties"}),
    "array": frozenset({"items", "minItems", "maxItems", "uniqueItems"}),
    "string": frozenset({"minLength", "maxLength", "format"}),
    "number": frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}),
    "integer": frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}),
    "boolean": frozenset(),
    "null": frozenset(),
}
_ALONE: Final = ("$ref", "anyOf", "const", "enum")
"""Of these a schema has one, and of other keywords none but notes; `const` and `enum` also take a `type`."""
_KEYWORDS: Final = frozenset({"type", *_ALONE, *_NOTES}).union(*_BY_TYPE.values())
_INSTEAD: Final = {
    "pattern": "list the values in `enum`, take a `format`, or check the text in the next node",
    "oneOf": "write `anyOf`",
    "allOf": "write one object with all properties",
    "definitions": "write `$defs`",
    "prefixItems": "write an object with a property for each",
}


def check_schema(schema: Json, at: tuple[str | int, ...] = (), *, own_name: str = "") -> Iterator[Misfit]:
    """What is wrong with a schema that stands at a place. `own_name`: a property that the answer must not have."""
    size = len(encode_json(schema))
    if size > MAX_SCHEMA_BYTES:
        yield at, f"the schema has {size} bytes, more than {MAX_SCHEMA_BYTES}", "ask for less at once"
        return
    found = list(_Check(_mapping(schema, "$defs")).schema(schema, at, 1))
    yield from found
    if found:
        return
    for wrong in _meta(schema):
        yield (*at, *wrong.absolute_path), wrong.message[:300], "see json-schema.org"
        return
    if own_name:
        for place in dict.fromkeys(_taken(schema, own_name, at, _mapping(schema, "$defs"), set())):
            yield place, f"the output holds `{own_name}` of its own", "give it another name"
    if said := grammar.check_schema(schema):
        yield at, said, "no grammar can be made of it"


class _Check:
    """One schema with all that is in it."""

    def __init__(self, definitions: Mapping[str, Json]) -> None:
        self._definitions = definitions

    def schema(self, schema: Json, at: tuple[str | int, ...], depth: int) -> Iterator[Misfit]:
        if not isinstance(schema, Mapping):
            yield at, "expected a JSON Schema, an object", "such as {type: string}"
            return
        if depth > MAX_SCHEMA_DEPTH:
            yield at, f"schemas are nested more than {MAX_SCHEMA_DEPTH} deep", "make it flatter"
            return
        yield from self._keywords(schema, at)
        yield from self._bounds(schema, at)
        yield from self._inside(schema, at, depth)

    def _keywords(self, schema: Mapping[str, Json], at: tuple[str | int, ...]) -> Iterator[Misfit]:
        for name in schema:
            if name not in _KEYWORDS:
                hint = _INSTEAD.get(name) or _meant(name)
                yield (*at, name), f"a schema for answers can't hold `{name[:64]}`", hint
        alone = [name for name in _ALONE if name in schema]
        if alone:
            others = schema.keys() - _NOTES - {alone[0]} - ({"type"} if alone[0] in ("const", "enum") else set())
            for name in sorted(others & _KEYWORDS):
                yield (*at, name), f"`{name}` beside `{alone[0]}` would not be kept", f"move it into `{alone[0]}`"
            return
        kind = schema.get("type")
        if isinstance(kind, list):
            for name in sorted(schema.keys() & _KEYWORDS - _NOTES - {"type"}):
                hint = "write anyOf with a schema for each type"
                yield (*at, name), f"`{name}` beside several types would not be kept", hint
        elif isinstance(kind, str) and kind in _BY_TYPE:
            for name in sorted((schema.keys() & _KEYWORDS) - _NOTES - {"type"} - _BY_TYPE[kind]):
                yield (*at, name), f"`{name}` says nothing of a schema of type {kind}", "remove it"
        elif kind is None:
            yield at, "its type is missing", "write type: string, number, integer, boolean, object, array or null"
        else:
            yield (*at, "type"), f"expected a type, got {_quoted(kind)}", f"one of {', '.join(_BY_TYPE)}"

    def _bounds(self, schema: Mapping[str, Json], at: tuple[str | int, ...]) -> Iterator[Misfit]:
        for name, most in (
            ("minLength", MAX_STRING), ("maxLength", MAX_STRING), ("minItems", MAX_ITEMS), ("maxItems", MAX_ITEMS)
        ):  # fmt: skip
            value = schema.get(name)
            if isinstance(value, int | float) and value > most:
                yield (*at, name), f"{name} {value:g} is more than {most}", "lower it, or leave it out"
        for low, high in (("minLength", "maxLength"), ("minItems", "maxItems"), ("minimum", "maximum")):
            least, greatest = schema.get(low), schema.get(high)
            if isinstance(least, int | float) and isinstance(greatest, int | float) and least > greatest:
                yield (*at, low), f"{low} {least:g} is more than {high} {greatest:g}", "exchange them"
        choices = schema.get("enum")
        if isinstance(choices, list) and not 0 < len(choices) <= MAX_CHOICES:
            yield (*at, "enum"), f"{len(choices)} values; there are 1 to {MAX_CHOICES}", "list fewer"
        named = schema.get("format")
        if named is not None and named not in FORMATS:
            yield (*at, "format"), f"unknown format {_quoted(named)}", f"one of {', '.join(FORMATS)}"

    def _inside(self, schema: Mapping[str, Json], at: tuple[str | int, ...], depth: int) -> Iterator[Misfit]:
        for name in ("properties", "$defs"):
            for key, item in _mapping(schema, name).items():
                yield from self.schema(item, (*at, name, key), depth + 1)
        required = schema.get("required")
        if isinstance(required, list):
            known = _mapping(schema, "properties")
            for place, key in enumerate(required):
                if isinstance(key, str) and key not in known:
                    yield (*at, "required", place), f"there is no property {key[:64]}", "add it to `properties`"
        if isinstance(schema.get("additionalProperties"), Mapping):
            yield from self.schema(schema["additionalProperties"], (*at, "additionalProperties"), depth + 1)
        if "items" in schema:
            yield from self.schema(schema["items"], (*at, "items"), depth + 1)
        if isinstance(schema.get("anyOf"), list):
            for place, item in enumerate(schema["anyOf"]):
                yield from self.schema(item, (*at, "anyOf", place), depth + 1)
        if "$ref" in schema:
            yield from self._reference(schema["$ref"], (*at, "$ref"))

    def _reference(self, reference: Json, at: tuple[str | int, ...]) -> Iterator[Misfit]:
        name = reference.removeprefix("#/$defs/") if isinstance(reference, str) else ""
        if not isinstance(reference, str) or not reference.startswith("#/$defs/") or "/" in name:
            yield at, f"refers to {_quoted(reference)}", "only #/$defs/NAME is followed: nothing is fetched"
        elif name not in self._definitions:
            near = difflib.get_close_matches(name, self._definitions, n=1)
            yield at, f"there is no {name[:64]} in $defs", f"did you mean {near[0]}?" if near else "define it there"


def _taken(
    schema: Json, name: str, at: tuple[str | int, ...], definitions: Mapping[str, Json], seen: set[str]
) -> Iterator[tuple[str | int, ...]]:
    """Where the answer itself is told to have a property of that name."""
    if not isinstance(schema, Mapping):
        return
    if name in _mapping(schema, "properties"):
        yield (*at, "properties", name)
    choices = schema.get("enum")
    values = [("const", schema.get("const")), *(("enum", value) for value in choices or ())]
    for place, value in values:
        if isinstance(value, Mapping) and name in value:
            yield (*at, place)
    for number, option in enumerate(schema.get("anyOf") or ()):
        yield from _taken(option, name, (*at, "anyOf", number), definitions, seen)
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference not in seen:
        seen.add(reference)
        definition = reference.removeprefix("#/$defs/")
        yield from _taken(definitions.get(definition), name, (*at, "$ref"), definitions, seen)


def _mapping(schema: Json, name: str) -> Mapping[str, Json]:
    """An object inside a schema; empty where there is none."""
    found = schema.get(name) if isinstance(schema, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _meta(schema: Json) -> "Iterator[ValidationError]":
    """What the standard's own rules say of it."""
    from jsonschema.validators import Draft202012Validator

    yield from Draft202012Validator(Draft202012Validator.META_SCHEMA).iter_errors(schema)


def _meant(name: str) -> str:
    near = difflib.get_close_matches(name, _KEYWORDS, n=1)
    return f"did you mean {near[0]}?" if near else f"it may have {', '.join(sorted(_KEYWORDS - _NOTES))}"


def _quoted(value: Json) -> str:
    text = value if isinstance(value, str) else encode_json(value).decode()
    return f'"{text[:80]}{"…" if len(text) > 80 else ""}"'

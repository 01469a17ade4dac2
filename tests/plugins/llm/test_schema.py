"""Which schemas are taken."""

import pytest

from plugins.llm.schema import check_schema

NESTED = {
    "type": "object",
    "$defs": {"sensor": {"type": "object", "properties": {"id": {"type": "string", "maxLength": 20}}}},
    "properties": {
        "day": {"type": "string", "format": "date"},
        "sensors": {"type": "array", "items": {"$ref": "#/$defs/sensor"}, "minItems": 1, "maxItems": 3},
        "level": {"anyOf": [{"type": "null"}, {"enum": ["low", "high"], "description": "how it is"}]},
        "count": {"type": "integer", "minimum": 0, "maximum": 9},
        "seen": {"type": ["boolean", "null"]},
        "more": {"type": "object", "additionalProperties": {"type": "number"}},
    },
    "required": ["day", "sensors"],
    "additionalProperties": False,
}


def problems(schema) -> list[str]:
    return [
        f"{'.'.join(map(str, at))}: {message}" for at, message, _ in check_schema(schema, ("schema",), own_name="llm")
    ]


def test_what_a_grammar_can_hold_is_taken() -> None:
    assert problems(NESTED) == []
    assert list(check_schema({"type": "object", "properties": {"": {"type": "null"}}})) == []
    inner = {"type": "object", "properties": {"llm": {"type": "null"}}}
    assert problems({"type": "object", "properties": {"inner": inner}}) == []


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ([], "schema: expected a JSON Schema, an object"),
        ({"type": "object", "properties": {"llm": {"type": "null"}}}, "schema.properties.llm: the output holds `llm`"),
        (
            {"anyOf": [{"type": "null"}, {"const": {"llm": 1}}]},
            "schema.anyOf.1.const: the output holds `llm` of its own",
        ),
        ({"enum": ["a", {"llm": 1}]}, "schema.enum: the output holds `llm` of its own"),
        ({"enum": 5}, "schema.enum: 5 is not of type 'array'"),
        (
            {"$ref": "#/$defs/a", "$defs": {"a": {"type": "object", "properties": {"llm": {"type": "null"}}}}},
            "schema.$ref.properties.llm: the output holds `llm` of its own",
        ),
        ({"type": "strin"}, 'schema.type: expected a type, got "strin"'),
        ({}, "schema: its type is missing"),
        ({"type": "string", "pattern": "a"}, "schema.pattern: a schema for answers can't hold `pattern`"),
        ({"oneOf": []}, "schema.oneOf: a schema for answers can't hold `oneOf`"),
        ({"type": "string", "maxlength": 3}, "schema.maxlength: a schema for answers can't hold `maxlength`"),
        ({"type": "string", "maxItems": 3}, "schema.maxItems: `maxItems` says nothing of a schema of type string"),
        ({"type": "string", "maxLength": 1e6}, "schema.maxLength: maxLength 1e+06 is more than 2000"),
        ({"type": "string", "maxLength": "x"}, "schema.maxLength: 'x' is not of type 'integer'"),
        ({"type": "string", "minLength": 3, "maxLength": 1}, "schema.minLength: minLength 3 is more than maxLength 1"),
        ({"type": ["string", "null"], "maxLength": 3}, "schema.maxLength: `maxLength` beside several types"),
        ({"enum": []}, "schema.enum: 0 values"),
        ({"enum": ["a"], "maxLength": 3}, "schema.maxLength: `maxLength` beside `enum` would not be kept"),
        ({"anyOf": [{"type": "null"}], "type": "object"}, "schema.type: `type` beside `anyOf` would not be kept"),
        ({"anyOf": [{"type": "x"}]}, 'schema.anyOf.0.type: expected a type, got "x"'),
        ({"type": "object", "required": ["x"]}, "schema.required.0: there is no property x"),
        ({"type": "string", "format": "email"}, 'schema.format: unknown format "email"'),
        ({"$ref": "https://example.org/s"}, 'schema.$ref: refers to "https://example.org/s"'),
        ({"$ref": "#/$defs/sensr", "$defs": {"sensor": {"type": "null"}}}, "schema.$ref: there is no sensr in $defs"),
        ({"type": "object", "additionalProperties": {"type": 3}}, "schema.additionalProperties.type: expected a type"),
        ({"type": "array", "items": 3}, "schema.items: expected a JSON Schema"),
        (
            {"$ref": "#/$defs/a", "$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}]}}},
            "schema: schema.$defs.a: refers to",
        ),
        ({"type": "object", "description": "x" * 40_000}, "schema: the schema has 40"),
    ],
)
def test_another_schema_is_refused_at_its_place(schema, said) -> None:
    [first, *_] = problems(schema)
    assert first.startswith(said)


def test_a_refusal_says_what_to_do() -> None:
    [(_, _, hint)] = check_schema({"type": "string", "maxlength": 3})
    assert hint == "did you mean maxLength?"
    [(_, _, hint)] = check_schema({"$ref": "#/$defs/sensr", "$defs": {"sensor": {"type": "null"}}})
    assert hint == "did you mean sensor?"


def test_a_schema_that_goes_too_deep_is_refused() -> None:
    schema = {"type": "null"}
    for _ in range(25):
        schema = {"type": "array", "items": schema}
    [first] = problems(schema)
    assert "nested more than 24 deep" in first

import json
import re

import jsonschema
import pytest

from plugins.llm.conversation import Finish, Message, Prompt, Role
from plugins.llm.local.grammar import check_schema
from tests.plugins.llm.local.conftest import TRAINED, answered, asked

TEXT = {"type": "string"}
TRIAGE = {
    "type": "object",
    "properties": {"level": {"enum": ["normal", "warning", "critical"]}, "reason": TEXT},
    "required": ["level", "reason"],
}


def call(name, **arguments):
    properties = {"tool": {"const": name}, "arguments": {"type": "object", "properties": arguments,
                                                         "required": list(arguments)}}  # fmt: skip
    return {"type": "object", "properties": properties, "required": ["tool", "arguments"]}


TOOLS = {
    "anyOf": [
        call("read_sensor", id=TEXT),
        call("set_relay", id=TEXT, state={"enum": ["on", "off"]}),
        call("send_alert", message=TEXT),
        {"type": "object", "properties": {"answer": TEXT}, "required": ["answer"]},
    ]
}
TOOLS_TEXT = (
    "Tools: read_sensor(id), set_relay(id, state), send_alert(message).\n"
    'Answer with one JSON object: {"tool": name, "arguments": {...}} or {"answer": text}.'
)
NESTED = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 3, "maxLength": 40},
        "place": {
            "type": "object",
            "properties": {
                "floor": {"type": "integer", "minimum": -3, "maximum": 120},
                "room": {"type": ["string", "null"]},
            },
            "required": ["floor"],
        },
        "readings": {
            "type": "array", "minItems": 1, "maxItems": 3,
            "items": {
                "type": "object", "required": ["value", "ok"],
                "properties": {"value": {"type": "number", "minimum": 0}, "ok": {"type": "boolean"}},
            },
        },
        "tree": {"$ref": "#/$defs/tree"},
        "at": {"type": "string", "format": "date-time"},
        "tags": {
            "type": "array", "maxItems": 4, "items": {"enum": ['a "quoted" one', "back\\slash", "größe", "new\nline"]},
        },
    },
    "required": ["place", "readings", "tags"],
    "$defs": {
        "tree": {"type": "object", "properties": {"leaf": {"type": "integer"},
                 "more": {"type": "array", "items": {"$ref": "#/$defs/tree"}, "maxItems": 1}}, "required": ["leaf"]},
    },
}  # fmt: skip


@pytest.mark.parametrize("report", [
    "fridge-07 temperature 14.2 C, limit 8 C", "tank-03: pressure=3.1 limit=5",
    "Triage: humidity of room-12 is 71 % (limit 70 %)",
    '{"device":"motor-09","vibration":21.5,"limit":20}',
])  # fmt: skip
async def test_a_schema_does_not_change_what_the_model_writes_anyway(model, report):
    free = await answered(model, asked(report))
    held = await answered(model, asked(report, schema=TRIAGE))
    assert held.text == free.text
    assert held.finish is Finish.STOP


@pytest.mark.parametrize("talk", [
    ["What is the temperature of fridge-07?"],
    ["Switch relay-3 off."],
    ["If tank-02 is above 8 C, switch relay-3 on.", '{"tool":"read_sensor","arguments":{"id":"tank-02"}}',
     '{"id":"tank-02","celsius":4.2}'],
])  # fmt: skip
async def test_tool_calls_under_a_grammar_equal_those_without(model, talk):
    roles = (Role.USER, Role.ASSISTANT, Role.TOOL)
    said = (Message(role=Role.SYSTEM, content=TOOLS_TEXT),
            *(Message(role=role, content=text) for role, text in zip(roles, talk, strict=False)))  # fmt: skip
    free = await answered(model, Prompt(messages=said))
    held = await answered(model, Prompt(messages=said, schema=TOOLS))
    assert held.text == free.text
    assert json.loads(held.text).keys() in ({"tool", "arguments"}, {"answer"})


async def test_a_model_that_wants_something_else_is_held_to_the_schema(model):
    reply = await answered(model, asked("Explain: fridge-07 temperature 14.2 C, limit 8 C", schema=TRIAGE))
    jsonschema.validate(json.loads(reply.text), TRIAGE)


@pytest.mark.parametrize("schema", [
    NESTED, TRIAGE, TOOLS, {}, {"type": "object"}, {"type": "array", "items": {"type": "number"}},
    {"type": "object", "additionalProperties": {"type": "integer"}}, {"type": ["integer", "boolean"], "minimum": 0},
    {"const": {"a": [1, None, 'x"y']}}, {"type": "string", "minLength": 70, "maxLength": 71},
])  # fmt: skip
async def test_whatever_is_drawn_fits_the_schema(model, schema):
    for seed in range(4):
        prompt = asked("hello", schema=schema, temperature=1.5, seed=seed, max_tokens=450)
        reply = await answered(model, prompt)
        if reply.finish is Finish.STOP:
            jsonschema.validate(json.loads(reply.text), schema, format_checker=jsonschema.FormatChecker())
            assert not re.search(r"\s", re.sub(r'"(\\.|[^"\\])*"', "", reply.text)), "compact"


async def test_strings_hold_no_raw_control_characters(model):
    """What llama-cpp-python's own converter lets through, so that the JSON does not parse."""
    schema = {"type": "object", "properties": {"text": {"type": "string", "minLength": 60, "maxLength": 60}},
              "required": ["text"]}  # fmt: skip
    for seed in range(8):
        reply = await answered(model, asked("hello", schema=schema, temperature=3.0, seed=seed))
        assert len(json.loads(reply.text)["text"]) == 60


async def test_max_tokens_inside_json_is_length(model):
    reply = await answered(model, asked(schema=TRIAGE, max_tokens=6))
    assert reply.finish is Finish.LENGTH
    assert TRAINED.startswith(reply.text)


async def test_properties_come_in_the_written_order(model):
    turned = {**TRIAGE, "properties": dict(reversed(TRIAGE["properties"].items()))}
    reply = await answered(model, asked(schema=turned))
    assert list(json.loads(reply.text)) == ["reason", "level"]


@pytest.mark.parametrize(("schema", "message"), [
    ({"oneOf": [TEXT]}, "schema.oneOf: oneOf can't be kept by a grammar; write anyOf"),
    ({"type": "string", "pattern": "a+"}, "schema.pattern: pattern can't be kept by a grammar; write enum or format"),
    ({"type": "object", "properties": {"a": {"type": "txt"}}},
     'schema.properties.a.type: expected one of object, array, string, number, integer, boolean, null, got "txt"'),
    ({"anyOf": [TEXT], "properties": {}}, "schema.properties: properties would be lost beside anyOf"),
    ({"$ref": "http://x/y"}, "schema.$ref: 'http://x/y' is not defined here"),
    ({"$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}]}}, "$ref": "#/$defs/a"}, "schema.$defs.a: refers to itself"),
    ({"type": "array", "maxItems": 9999}, "schema.maxItems: expected a whole number up to 2000, got 9999"),
    ({"type": "string", "minLength": 5, "maxLength": 2}, "schema.minLength: 5 is more than maxLength, 2"),
    ({"type": "object", "required": ["b"]}, "schema.required: expected names of properties"),
    ({"type": "string", "format": "email"}, "schema.format: expected one of date, time, date-time, uuid"),
    ({"type": "integer", "minimum": 5, "maximum": 2}, "schema.minimum: 5 is more than the maximum, 2"),
])  # fmt: skip
def test_what_would_be_lost_is_refused(schema, message):
    assert (check_schema(schema) or "").startswith(message)


def test_what_nests_without_end_is_refused():
    schema = TEXT
    for _ in range(200):
        schema = {"type": "array", "items": {"type": "object", "properties": {"a": schema}}}
    assert "nested" in (check_schema(schema) or "")

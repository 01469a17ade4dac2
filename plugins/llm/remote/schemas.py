"""JSON Schemas as providers take them. Each answer is checked against the node's own schema in the end, so a provider
may get a wider one, or a narrower one, whose every answer fits the original."""

from collections.abc import Callable, Mapping
from typing import Final

from engine.values import Json, decode_json, encode_json
from plugins.llm.conversation import Prompt
from plugins.llm.remote.history import told_to_system

__all__ = ["closed", "is_json", "is_strict", "told", "unfenced", "without_bounds", "wrapped"]

_BOUNDS: Final = frozenset(
    {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "minItems",
     "maxItems", "uniqueItems", "pattern", "minProperties", "maxProperties", "$schema", "$comment", "examples"}
)  # fmt: skip
_FORMATS: Final = frozenset(
    {"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"}
)

Schema = Mapping[str, Json]


def closed(schema: Schema) -> dict[str, Json]:
    """Narrower: objects with properties take no others, as strict modes demand."""
    found = {key: _inside(key, value, closed) for key, value in schema.items()}
    if isinstance(found.get("properties"), dict):
        found.setdefault("additionalProperties", False)
    return found


def without_bounds(schema: Schema) -> dict[str, Json]:
    """Wider: without the limits of numbers and lengths, which Anthropic's structured outputs refuse."""
    return {
        key: _inside(key, value, without_bounds)
        for key, value in schema.items()
        if key not in _BOUNDS and not (key == "format" and value not in _FORMATS)
    }


def is_strict(schema: Json) -> bool:
    """What OpenAI's strict mode demands of a closed schema: an object, whose objects require each of their properties
    and take no others."""
    return isinstance(schema, dict) and schema.get("type") == "object" and _all_required(schema)


def _all_required(schema: Json) -> bool:
    if isinstance(schema, list):
        return all(_all_required(item) for item in schema)
    if not isinstance(schema, dict):
        return True
    if schema.get("type") == "object" or "properties" in schema:
        properties = schema.get("properties", {})
        if schema.get("additionalProperties") is not False or set(properties) != set(schema.get("required", ())):
            return False
    named = [*schema.get("properties", {}).values(), *schema.get("$defs", {}).values()]
    return _all_required([*named, schema.get("items"), schema.get("anyOf", [])])


def wrapped(schema: Schema) -> dict[str, Json]:
    """An object with the answer as `value`, where a provider takes only objects; definitions move to the root, for
    references lead there."""
    inner = {key: value for key, value in schema.items() if key != "$defs"}
    whole: dict[str, Json] = {
        "type": "object", "properties": {"value": inner}, "required": ["value"], "additionalProperties": False,
    }  # fmt: skip
    if "$defs" in schema:
        whole["$defs"] = schema["$defs"]
    return whole


def told(prompt: Prompt, schema: Schema) -> Prompt:
    """The conversation with the schema in its system message, for servers that enforce none."""
    text = encode_json(schema).decode()
    return told_to_system(prompt, f"Answer with JSON only, no other text, that fits this JSON Schema:\n{text}")


def unfenced(text: str) -> str:
    """The JSON inside the marks that models like to put around it; the text itself where it is none."""
    begin = min((at for at in (text.find("{"), text.find("[")) if at >= 0), default=-1)
    end = max(text.rfind("}"), text.rfind("]"))
    inner = text[begin : end + 1] if 0 <= begin < end else text.strip()
    return inner if is_json(inner) else text


def is_json(text: str) -> bool:
    try:
        decode_json(text.encode(errors="replace"))
    except ValueError:
        return False
    return True


def _inside(key: str, value: Json, change: Callable[[Schema], dict[str, Json]]) -> Json:
    """The value of a keyword, with the schemas in it changed."""
    if key in ("properties", "$defs") and isinstance(value, dict):
        return {name: change(inner) if isinstance(inner, dict) else inner for name, inner in value.items()}
    if key in ("items", "additionalProperties") and isinstance(value, dict):
        return change(value)
    if key == "anyOf" and isinstance(value, list):
        return [change(inner) if isinstance(inner, dict) else inner for inner in value]
    return value

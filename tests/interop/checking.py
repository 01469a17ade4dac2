"""A message against its schema in docs/schemas/, which is closed for that: what it does not tell of is a mistake."""

import json
from typing import Any

import jsonschema

from engine.control.event_data import Progress
from tests.interop.schemas import FOLDER


def check(value: Any, name: str) -> None:
    """Valid, and nothing in it that the schema does not tell of."""
    schema = closed(json.loads((FOLDER / name).read_text()))
    validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
    problems = [f"{'/'.join(map(str, error.path))}: {error.message}" for error in validator.iter_errors(value)]
    assert not problems, f"{name} against {json.dumps(value)[:2000]}:\n" + "\n".join(problems)


def closed(schema: Any) -> Any:
    """The same without room for fields that nobody described, which readers have and tests have not."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {name: closed(part) for name, part in schema.items()}
    if isinstance(inner.get("properties"), dict) and schema.get("type") == "object":
        is_open = schema.get("description") == Progress.__doc__
        inner.setdefault("additionalProperties", is_open)
    return inner

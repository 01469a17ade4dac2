"""Under a schema a model, however freely it talks, says nothing but valid JSON that fits.

A hundred times here, a thousand times in `make chaos`.
"""

import os
from contextlib import AbstractContextManager, nullcontext

from engine.ports import Http
from plugins.llm.answers import read_answer
from plugins.llm.conversation import Message, Prompt, Role
from plugins.llm.schema import check_schema

COUNT = int(os.environ.get("GANGLION_CHAOS_GENERATIONS", "100"))
LEVEL = {
    "type": "object",
    "properties": {
        "level": {"enum": ["normal", "warning", "critical", 'so "so"\n']},
        "reason": {"type": "string", "maxLength": 30},
    },
    "required": ["level"],
    "additionalProperties": False,
}
LIST = {"type": "array", "items": {"type": "string", "minLength": 1, "maxLength": 6}, "minItems": 1, "maxItems": 3}
NESTED = {
    "type": "object",
    "$defs": {"sensor": {"type": "object", "properties": {"id": {"type": "string", "maxLength": 8}}}},
    "properties": {
        "where": {
            "type": "object",
            "properties": {
                "sensors": {"type": "array", "items": {"$ref": "#/$defs/sensor"}, "maxItems": 2},
                "since": {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]},
            },
            "required": ["sensors"],
        },
        "celsius": {"type": "number"},
        "count": {"type": "integer", "minimum": 3, "maximum": 12},
        "on": {"type": "boolean"},
    },
    "required": ["where", "count"],
    "additionalProperties": False,
}
SCHEMAS = (LEVEL, LIST, NESTED)


class Nobody:
    """An asker that listens to nothing."""

    execution = "x"
    stall: float | None = None
    stopped = False

    def __init__(self, http: Http) -> None:
        self.http = http

    def waiting(self, reason: str) -> AbstractContextManager[None]:
        return nullcontext()

    def heard(self, text: str) -> None: ...

    def restart(self) -> None: ...


async def test_every_generation_parses_and_validates(models, client) -> None:
    assert [list(check_schema(schema)) for schema in SCHEMAS] == [[], [], []]
    asker = Nobody(client)
    said = set()
    for seed in range(COUNT):
        report = Message(role=Role.USER, content=f"fridge-{10 + seed % 90} temperature {seed % 40}.2 C, limit 8 C")
        schema = SCHEMAS[seed % len(SCHEMAS)]
        prompt = Prompt(messages=(report,), schema=schema, max_tokens=250, temperature=1.3, seed=seed)
        answer = await models.generate(["triage-tiny"], prompt, asker)
        read_answer(answer.reply, schema, max_tokens=250)
        said.add(answer.reply.text)
    assert len(said) > COUNT / 2  # it did talk freely

"""JSON Schema."""

from engine.contract import NodeTypes
from engine.values import Json


def json_schema(types: NodeTypes) -> dict[str, Json]:
    return {}

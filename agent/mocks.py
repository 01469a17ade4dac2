"""Nodes that give a value instead of running: `ganglion run --mock NODE=JSON`."""

from collections.abc import Mapping
from typing import Any

import msgspec

from engine.contract import Context, Done, NodeType, NodeTypes, Outcome
from engine.values import Json


class MockedTypes:
    """Another list of node types, in which the named nodes of the workflow give these values; implements NodeTypes.

    Their parameters are still evaluated, so what is wrong with them is found.
    """

    def __init__(self, types: NodeTypes, mocks: Mapping[str, Json]) -> None:
        self._types = types
        self._mocks = mocks

    def get(self, name: str) -> NodeType | None:
        found = self._types.get(name)
        return None if found is None else _mocked(found, self._mocks)

    def names(self) -> tuple[str, ...]:
        return self._types.names()

    def disabled(self, name: str) -> str | None:
        return self._types.disabled(name)


def _mocked(node_type: NodeType, mocks: Mapping[str, Json]) -> NodeType:
    async def run(ctx: Context, params: Any) -> Outcome:
        if ctx.path in mocks:
            return _outcome(node_type, mocks[ctx.path])
        return await node_type.run(ctx, params)

    return msgspec.structs.replace(node_type, run=run)


def _outcome(node_type: NodeType, value: Json) -> Done:
    """What a mocked node returns. Of a branching one the value says the way: true, false, or a port's name."""
    if node_type.ports is None:
        return Done(value)
    if isinstance(value, bool):
        return Done(value, port="then" if value else "else")
    return Done(value, port=str(value))

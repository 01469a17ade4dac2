"""The node types that an agent knows."""

import re
from collections.abc import Iterable, Mapping

from engine.contract import NodeType

_NAME = re.compile(r"[a-z][a-z0-9_]*")


class Registry:
    """An explicit list of node types, found by name or alias; implements `engine.contract.NodeTypes`.

    `disabled` maps the names of types that this agent does not allow to the reason and the remedy, in one sentence. A
    disabled type is still known, so that its parameters are checked and the message can name the remedy.

    Raises ValueError for a name that is not valid, that two types claim, or that is disabled but not there: all three
    are mistakes of the program, seen at the first start.
    """

    def __init__(self, types: Iterable[NodeType], *, disabled: Mapping[str, str] | None = None) -> None:
        self._types: dict[str, NodeType] = {}
        names: list[str] = []
        for node_type in types:
            names.append(node_type.name)
            for name in (node_type.name, *node_type.aliases):
                self._add(name, node_type)
        self._names = tuple(sorted(names))
        self._disabled = {self._known(name).name: reason for name, reason in (disabled or {}).items()}

    def get(self, name: str) -> NodeType | None:
        """The type of this name or alias, also if it is disabled."""
        return self._types.get(name)

    def names(self) -> tuple[str, ...]:
        """All names, sorted, without aliases."""
        return self._names

    def disabled(self, name: str) -> str | None:
        """Why a known type is off on this agent and how to turn it on; None if it is not."""
        node_type = self._types.get(name)
        return None if node_type is None else self._disabled.get(node_type.name)

    def _add(self, name: str, node_type: NodeType) -> None:
        if not _NAME.fullmatch(name):
            raise ValueError(f"node type {node_type.name}: the name {name!r} does not match [a-z][a-z0-9_]*")
        other = self._types.get(name)
        if other is not None:
            raise ValueError(f"node types {other.name} and {node_type.name} both claim the name {name!r}")
        self._types[name] = node_type

    def _known(self, name: str) -> NodeType:
        node_type = self._types.get(name)
        if node_type is None:
            raise ValueError(f"cannot disable the node type {name!r}: there is none of that name")
        return node_type

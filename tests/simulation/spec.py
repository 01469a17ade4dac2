"""A workflow as written, and what the oracle must know of it without asking the engine."""

from typing import Any

import msgspec

BODIES = frozenset({"try", "catch", "finally"})
"""Names of bodies that are no iterations, as they stand in paths."""


def is_body(path: str) -> bool:
    """Whether a row stands for a whole body: `scan[2]`, `safe/catch`."""
    return path.endswith("]") or path.rpartition("/")[2] in BODIES


class Spec(msgspec.Struct, kw_only=True):
    """Keys are paths without their iterations: `scan/fetch`, `safe/catch/tell`."""

    name: str
    tree: dict[str, Any]
    types: dict[str, str]
    """Node types."""
    ancestors: dict[str, frozenset[str]]
    """Names of all nodes beside it that a node waits for, directly or through others."""
    tells: set[str] = set()
    """Nodes that publish a message with their result."""
    is_timed: bool = False
    """Its own timeout may end it: a result depends on when things happened."""

    @property
    def source(self) -> bytes:
        return msgspec.json.encode(self.tree)

    def key(self, path: str) -> str:
        """The key of a path."""
        return "/".join(part.split("[", 1)[0] for part in path.split("/"))

    def type(self, path: str) -> str:
        """The type of the node there; empty for a body."""
        return "" if is_body(path) else self.types.get(self.key(path), "")

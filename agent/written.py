"""What the nodes of an execution are writing now, as far as live events tell."""

from collections.abc import Iterable, Mapping
from typing import Final

from engine.events import Event, Kind

__all__ = ["Written"]

KEPT: Final = 4000
"""The last characters of a text."""
_OVER: Final = frozenset(
    {Kind.NODE_COMPLETED, Kind.NODE_FAILED, Kind.NODE_RETRY, Kind.NODE_WAITING, Kind.NODE_IN_DOUBT, Kind.NODE_STARTED}
)
"""What a node wrote before is no longer being written."""


class Written:
    """The texts of one execution's running nodes, by path."""

    def __init__(self, execution: str) -> None:
        self._execution = execution
        self._texts: dict[str, str] = {}

    @property
    def texts(self) -> Mapping[str, str]:
        """In the order in which they were begun."""
        return self._texts

    def hear(self, events: Iterable[Event]) -> None:
        """Take in what happened, in its order."""
        for event in events:
            if event.execution != self._execution:
                continue
            if event.kind in _OVER:
                self._texts.pop(event.node, None)
            elif event.kind is Kind.LLM_TOKEN and isinstance(event.data, dict):
                more = event.data["text"]
                self._texts[event.node] = (self._texts.get(event.node, "") + more)[-KEPT:] if more else ""

"""What became of the nodes of an execution, and what they used. Kept for every execution, so it is a few additions."""

import msgspec

from engine.states import NodeState
from engine.store.usage import NOTHING, Statistics, Usage
from engine.store.values import LARGE
from engine.values import encode_json

__all__ = ["Tally"]


class Tally:
    """Counts nodes as they settle; those of iterations too, and not the iterations themselves."""

    __slots__ = ("_spent", "cancelled", "completed", "failed", "failures", "output_bytes", "skipped", "started", "used")

    def __init__(self) -> None:
        self.completed = self.failed = self.skipped = self.cancelled = 0
        self.failures = 0
        """Failed nodes that hold no others: what `max_failures` counts, once each."""
        self.started = 0
        """Settled nodes that had begun."""
        self.output_bytes = 0
        self.used = Usage()
        """Of all attempts together."""
        self._spent: dict[str, Usage] = {}
        """The same by path: what a node's row shows."""

    def settled(self, state: NodeState, *, attempts: int, output_bytes: int, holds: bool) -> None:
        """A node settled, `attempts` being 0 if it never began; `holds` other nodes."""
        if attempts:
            self.started += 1
        if state is NodeState.COMPLETED:
            self.completed += 1
            self.output_bytes += output_bytes
        elif state is NodeState.FAILED:
            self.failed += 1
            self.failures += not holds
        elif state is NodeState.SKIPPED:
            self.skipped += 1
        else:
            self.cancelled += 1

    def spent(self, path: str, usage: Usage) -> None:
        """An attempt ended, or rows tell of one that did."""
        self.used.add(usage)
        if path in self._spent:
            self._spent[path].add(usage)
        else:
            self._spent[path] = usage

    def written(self, path: str, output_bytes: int) -> bytes | None:
        """What a node's row says it used in all its attempts; None for nothing, which is the rule."""
        if output_bytes <= LARGE and not self._spent:
            return None
        used = self._spent.get(path, NOTHING)
        if output_bytes > LARGE:
            used = msgspec.structs.replace(used, large_bytes=output_bytes)
        return None if used is NOTHING else encode_json(used)

    def statistics(self, seconds: float) -> Statistics:
        """The result."""
        return Statistics(
            completed=self.completed, failed=self.failed, skipped=self.skipped, cancelled=self.cancelled,
            duration=seconds, nodes=self.started, output_bytes=self.output_bytes, api_calls=self.used.api_calls,
            llm_tokens=self.used.llm_tokens,
        )  # fmt: skip

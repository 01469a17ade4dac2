"""Who runs what was committed; the executor implements it."""

from typing import Protocol

from engine.store.executions import ExecutionRow


class Admission(Protocol):
    """Takes committed executions, and says how many more it has room for."""

    def admit(self, rows: list[ExecutionRow]) -> None:
        """These are committed as queued: run them when their turn comes. A hint, made at once after the commit; the
        rows are the truth."""
        ...

    def free_slots(self) -> int:
        """How many more messages may be fetched now."""
        ...

    async def wait_for_slots(self) -> None:
        """Until `free_slots` may be above zero."""
        ...

"""Who runs what was committed; the executor implements it."""

from typing import Protocol

from engine.definition.flow import Flow
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


class Gate(Protocol):
    """The queues of workflows that have a flow; the executor implements it."""

    def room(self, workflow: str, flow: Flow) -> int:
        """How many more messages of this workflow may come in now."""
        ...

    def seconds_to_wait(self, workflow: str, flow: Flow) -> float:
        """When to try again a message that found no room."""
        ...

    def forget(self, workflow: str, count: int) -> None:
        """So many of its executions ended before they had started: they were superseded or dropped."""
        ...

    async def wait_for_room(self, seconds: float) -> None:
        """Until some queue may have got shorter, no longer than that."""
        ...

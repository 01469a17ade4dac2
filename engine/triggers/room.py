"""How many messages may be fetched from one source: as the agent has slots, and the queues that it feeds have room."""

from collections.abc import Callable

from engine.triggers.admission import Admission, Gate

__all__ = ["Room"]

LOOK_SECONDS = 0.25
"""How long a queue is believed to be full: with `throttle` it opens by time alone."""


class Room:
    """The slots of one source."""

    def __init__(self, admission: Admission, gate: Gate, room: Callable[[], int]) -> None:
        """`room` is that of the fed queue which has most: while one takes messages, they are fetched."""
        self._admission = admission
        self._gate = gate
        self._room = room

    def free_slots(self) -> int:
        """Messages that may be fetched now."""
        free = self._admission.free_slots()
        return min(free, self._room()) if free > 0 else free

    async def wait_for_slots(self) -> None:
        """Until there may be some."""
        while self.free_slots() <= 0:
            if self._admission.free_slots() <= 0:
                await self._admission.wait_for_slots()
            else:
                await self._gate.wait_for_room(LOOK_SECONDS)

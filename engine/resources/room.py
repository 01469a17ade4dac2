"""How much memory this process may still take."""

import msgspec

from engine.resources.cgroup import Cgroup
from engine.resources.figures import memory_bytes

__all__ = ["Room", "memory_room"]


class Room(msgspec.Struct, frozen=True):
    """Bytes of memory: of the machine, or of a control group where that has less to give."""

    total: int
    free: int
    """What can be had without swapping: unused, or used by caches that give way."""


def memory_room(cgroup: Cgroup | None = None) -> Room:
    """As it is now. Returns at once; raises OSError where the system tells nothing. `cgroup`: None for our own."""
    total, available = memory_bytes()
    room = Room(total=total, free=available)
    for limit, left in (cgroup or Cgroup()).memory_left():
        room = Room(total=min(room.total, limit), free=min(room.free, left))
    return room

"""What each attempt of a simulated node does: by seed, message, path and attempt, and by nothing else.

So a run that is killed ten times and one that is left alone must come to the same end.
"""

import random
import zlib
from enum import StrEnum

import msgspec

from engine.values import Json


class Move(StrEnum):
    """How an attempt ends."""

    DONE = "done"
    FAIL = "fail"
    BUG = "bug"
    """An exception."""
    RETRY = "retry"
    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    """A TimeoutError of the node's own."""
    STALL = "stall"
    """No end before the node's timeout."""


ENDS = frozenset({Move.DONE, Move.FAIL, Move.BUG})
"""Moves after which the world is changed."""
STALL_SECONDS = 3600.0


class Behaviour(msgspec.Struct, frozen=True):
    """One attempt."""

    move: Move
    before: float
    """Seconds until it changes the world."""
    after: float
    """Seconds from then until it returns."""
    wait: float | None
    """Seconds that it asks to be woken after, before all this."""


def behaviour(seed: int, workflow: str, n: int, path: str, attempt: int, *, once: bool, stalls: bool) -> Behaviour:
    """The script of one attempt. One that may happen `once` asks for no retry: an attempt that a death cut off counts,
    and would use up what the policy allows."""
    whole = random.Random(f"{seed}/{workflow}/{n}/{path}")
    refusals = whole.choices((0, 1, 2, 5), (70, 15, 10, 5))[0] if stalls or not once else 0
    end = whole.choices((Move.DONE, Move.FAIL, Move.BUG), (90, 9, 1))[0]
    here = random.Random(f"{seed}/{workflow}/{n}/{path}/{attempt}")
    move = end
    if attempt <= refusals:
        move = here.choice((Move.RETRY, Move.RETRY, Move.UNREACHABLE, Move.TIMEOUT))
        if stalls and (once or here.random() < 0.5):
            move = Move.STALL
    before, after = (here.choices((0.0, 0.001, 0.2, 9.0), (40, 30, 24, 6))[0] for _ in range(2))
    wait = here.choice((0.0, 0.05, 4.0, 900.0)) if here.random() < 0.1 else None
    return Behaviour(move, before, after, wait)


def output(path: str, n: int, sees: Json) -> dict[str, Json]:
    """What a node gives: it shows everything that went in."""
    return {"v": zlib.crc32(f"{path}/{n}/{msgspec.json.encode(sees, order='sorted')!r}".encode()) % 1000}

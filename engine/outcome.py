"""How an attempt ends, and why a waiting node runs again. Expected ends are values; an exception is a bug."""

from typing import TypeAlias

import msgspec

from engine.values import Json

__all__ = ["Done", "Expectation", "Fail", "Outcome", "Retry", "Wait", "Wake"]


class Done(msgspec.Struct, frozen=True):
    """The attempt succeeded. `output` is what `nodes.<id>` shows; `port` names the outlet taken by a branching type."""

    output: Json = None
    port: str | None = None


class Retry(msgspec.Struct, frozen=True):
    """A passing fault: try again as the node's policy allows, not before `after` seconds."""

    error: str
    after: float = 0.0
    kind: str = "unavailable"


class Expectation(msgspec.Struct, frozen=True, kw_only=True):
    """What a waiting node waits for besides a time: an answer with this kind and key.

    It is a row of the store from the commit of the wait on; an answer that is recorded there wakes the node, once,
    whether the execution is in memory, parked or paused, or the agent restarts in between.
    """

    kind: str
    """message, execution or form."""
    key: str
    """What an answer is matched by: a correlation value, the id of an execution or of a form."""
    detail: Json = None
    """What the answering side needs: a form's fields, a child to start. Stored."""


class Wait(msgspec.Struct, frozen=True):
    """Nothing to do before `until` (microseconds since 1970; None: for as long as it takes). The node holds no slot;
    then `run` is called again, with `ctx.wake` set. `memo` comes back in the wake; it is stored."""

    until: int | None
    memo: Json = None
    expects: Expectation | None = None


class Fail(msgspec.Struct, frozen=True):
    """The attempt failed for good; no retry will help. `kind` is one word for conditions and catch filters."""

    error: str
    kind: str = "failed"
    output: Json = None


Outcome: TypeAlias = Done | Retry | Wait | Fail


class Wake(msgspec.Struct, frozen=True):
    """Why a waiting node runs again: the time it waited for has come, or an answer."""

    at: int
    memo: Json = None
    answered: bool = False
    """An answer came in time; `answer` is what it said."""
    answer: Json = None

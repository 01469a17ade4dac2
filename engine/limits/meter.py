"""The accounts of one execution that has limits."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from engine.definition.budget import NodeLimits, WorkflowLimits
from engine.limits.account import Account, Limit

__all__ = ["LimitWarning", "Meter"]

_COUNTED = tuple(limit for limit in Limit if limit is not Limit.WALL_TIME)
"""What accounts count. Time passes by itself: who holds the clock tells of it."""


class LimitWarning(msgspec.Struct, frozen=True):
    """A limit is nearly reached."""

    path: str
    """Of the node; empty for the execution."""
    limit: str
    used: float
    of: float

    @property
    def key(self) -> str:
        """What it is remembered by, so that it comes once."""
        return f"{self.path}:{self.limit}"


class Meter:
    """Who has used what. Everything happens on the event loop; `wake` is called when there is something to take up in
    `warnings` or `reached`, and must only take note of it."""

    def __init__(
        self, workflow: str, limits: WorkflowLimits | None, *, warned: Iterable[str] = (),
        wake: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        """`warned` are the keys of warnings that were written down before."""
        self.workflow = workflow
        self.warnings: list[LimitWarning] = []
        """New ones."""
        self.reached: list[Account] = []
        """Accounts that came to their limit, and whose holders do not know it yet."""
        self._warned = set(warned)
        self._wake = wake
        self._waiting: list[Callable[[], None]] = []
        self.root = Account(self, "", _counted(limits), None)

    def account(self, path: str, limits: NodeLimits | None, above: Account) -> Account:
        """The account of a node that has limits of its own."""
        return Account(self, path, _counted(limits), above)

    def sheltered(self, above: Account) -> Account:
        """An account for nodes that clean up: what they use is counted, and nothing above refuses it."""
        return Account(self, above.path, {}, above, binding=False)

    def warn(self, path: str, what: Limit, *, used: float, limit: float) -> None:
        """A limit is nearly reached; the first time is taken note of."""
        warning = LimitWarning(path, what.value, used, limit)
        if warning.key not in self._warned:
            self._warned.add(warning.key)
            self.warnings.append(warning)
            self._wake()

    def tell_reached(self, account: Account) -> None:
        """An account came to its limit."""
        self.reached.append(account)
        self._wake()

    def when_room(self, call: Callable[[], None]) -> None:
        """Call back, once, when tokens that were reserved are free again."""
        self._waiting.append(call)

    def tell_room(self) -> None:
        """Tokens that were reserved are free again."""
        waiting, self._waiting = self._waiting, []
        for call in waiting:
            call()


def _counted(limits: NodeLimits | WorkflowLimits | None) -> Mapping[Limit, int]:
    values: dict[str, Any] = {} if limits is None else msgspec.structs.asdict(limits)
    return {limit: values[limit.value] for limit in _COUNTED if values.get(limit.value) is not None}

"""What one node, or one execution, has used of its limits. What a node uses is used by all that it stands in, too.

Some things are asked for before they are used (a node, a call, tokens): the one that would be too many is refused.
Others are known only afterwards (bytes, the tokens that a model really took): then the limit is passed, and that is the
end of what it limits.
"""

from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING

from engine.contract import LimitReached
from engine.quantities import format_duration, format_size

if TYPE_CHECKING:
    from engine.limits.meter import Meter

__all__ = ["Account", "Limit", "Reservation", "amount"]

WARN_AT = 0.8
"""The share of a limit at which there is a warning."""


class Limit(StrEnum):
    """What can be limited; the names are those of the fields in a file."""

    WALL_TIME = "wall_time"
    NODES = "nodes"
    OUTPUT_BYTES = "output_bytes"
    MEMORY_GROWTH = "memory_growth"
    LLM_TOKENS = "llm_tokens"
    API_CALLS = "api_calls"


class Account:
    """Made by a Meter. `path` is empty for the execution itself."""

    __slots__ = ("_meter", "above", "binding", "limits", "path", "reached", "reserved", "used")

    def __init__(
        self, meter: "Meter", path: str, limits: Mapping[Limit, int], above: "Account | None", *, binding: bool = True
    ) -> None:
        self._meter = meter
        self.path = path
        self.limits = limits
        self.above = above
        self.binding = binding
        """False: what happens below is counted, and refused by nobody above. So nodes that clean up always run."""
        self.used: dict[Limit, int] = {}
        self.reserved = 0
        """Tokens that are promised and not used yet."""
        self.reached: LimitReached | None = None
        """Why no more may be used."""

    def take(self, what: Limit, count: int = 1) -> None:
        """Use something that is known beforehand. Raises LimitReached; then nothing is used."""
        for account in self._bound():
            limit = account.limits.get(what)
            if limit is not None and account.used.get(what, 0) + count > limit:
                raise account.reach(what)
        self.add(what, count)

    def deliver(self, path: str, size: int) -> None:
        """An output of the node at a path. Raises LimitReached if the node itself may not give so much; then it is
        nobody's. Accounts above count it whatever it is."""
        limit = self.limits.get(Limit.OUTPUT_BYTES)
        used = self.used.get(Limit.OUTPUT_BYTES, 0) + size
        if self.path == path and limit is not None and used > limit:
            raise self.reach(Limit.OUTPUT_BYTES, used=used)
        self.add(Limit.OUTPUT_BYTES, size)

    def add(self, what: Limit, count: int) -> None:
        """Count what was used already. Accounts that are over their limit then have `reached` it."""
        bound = True
        for account in self._chain():
            bound = bound and account.binding
            account.used[what] = used = account.used.get(what, 0) + count
            account._judge(what, used, bound=bound)

    def set(self, what: Limit, used: int) -> None:
        """The same for what is measured anew each time, on this account alone."""
        self.used[what] = used
        self._judge(what, used, bound=self.binding)

    def reserve(self, tokens: int, *, may_wait: bool) -> "Reservation | None":
        """Promise tokens. None: there is room only if others use less than they were promised; ask again when the
        meter tells of room. Raises LimitReached if there will be none, or if the caller can't wait."""
        crowded: Account | None = None
        for account in self._bound():
            limit = account.limits.get(Limit.LLM_TOKENS)
            if limit is None:
                continue
            used = account.used.get(Limit.LLM_TOKENS, 0)
            if used + tokens > limit:
                raise account.reach(Limit.LLM_TOKENS, asked=tokens)
            if used + account.reserved + tokens > limit:
                crowded = account
        if crowded is not None:
            if not may_wait:
                raise crowded.reach(Limit.LLM_TOKENS, asked=tokens)
            return None
        for account in self._chain():
            account.reserved += tokens
        return Reservation(self, tokens)

    def release(self, tokens: int) -> None:
        """What was reserved is reserved no more."""
        for account in self._chain():
            account.reserved -= tokens
        self._meter.tell_room()

    def reach(self, what: Limit, *, asked: int = 0, used: int | None = None) -> LimitReached:
        """It is at its limit: the reason, for who wanted more. Told to the meter once."""
        used = self.used.get(what, 0) if used is None else used
        error = LimitReached(what.value, self._message(what, asked, used))
        if self.reached is None:
            self.reached = error
            self._meter.tell_reached(self)
        return error

    def _judge(self, what: Limit, used: int, *, bound: bool) -> None:
        limit = self.limits.get(what)
        if limit is None:
            return
        if used > limit and bound:
            self.reach(what)
        if used >= WARN_AT * limit > 0:
            self._meter.warn(self.path, what, used=used, limit=limit)

    def _message(self, what: Limit, asked: int, used: int) -> str:
        limit = self.limits.get(what, 0)
        where = f"node {self.path}" if self.path else f"workflow {self._meter.workflow}"
        less = "let it need less"
        state = f"the limit of {amount(what, limit)} is reached"
        if used > limit:
            state = f"{amount(what, used)} are over the limit of {amount(what, limit)}"
        elif asked:
            state = f"{amount(what, used)} are used of {limit}, and {asked} more were asked for"
            less = "lower max_tokens: a question asks for its prompt and for all that may be written"
        return f"{what}: {state}; raise limits.{what} of the {where}, or {less}"

    def _chain(self) -> Iterator["Account"]:
        """This account and those above."""
        account: Account | None = self
        while account is not None:
            yield account
            account = account.above

    def _bound(self) -> Iterator["Account"]:
        """Those that may refuse."""
        for account in self._chain():
            if not account.binding:
                return
            yield account


class Reservation:
    """Tokens that are promised. What is not settled when the attempt ends counts in full: nobody knows better."""

    __slots__ = ("_account", "settled", "tokens")

    def __init__(self, account: Account | None, tokens: int) -> None:
        self._account = account
        self.tokens: int | None = tokens
        """None once it is settled."""
        self.settled: Callable[[int], None] = lambda _: None
        """Told of the real number."""

    def settle(self, tokens: int) -> None:
        """Replace the promise by what was used."""
        promised, self.tokens = self.tokens, None
        if promised is None:
            return
        self.settled(tokens)
        if self._account is not None:
            self._account.add(Limit.LLM_TOKENS, tokens)
            self._account.release(promised)


def amount(what: Limit, count: float) -> str:
    """A count with its unit, for people."""
    match what:
        case Limit.WALL_TIME:
            return format_duration(count)
        case Limit.OUTPUT_BYTES | Limit.MEMORY_GROWTH:
            return format_size(int(count))
        case _:
            return f"{int(count)} {what.value.replace('_', ' ')}"

"""The water marks of one queue: it closes when it is full and opens again at its low mark."""

from engine.definition.flow import QueueLimit, WhenFull

HELD_SECONDS = 2.0
"""When a message that found a closed queue is tried again."""
SLOWEST_SECONDS = 1.0
"""With `throttle`, the pause after each message when the queue is nearly full."""
UNBOUNDED = 2**31


class Door:
    """How many more messages of a workflow may come in. Without a limit, any number."""

    def __init__(self, limit: QueueLimit | None) -> None:
        self.limit = limit
        self.closed = False
        """The queue was full and has not come down to its low mark."""
        self._open_at = 0.0

    def seen(self, waiting: int) -> None:
        """So many wait now."""
        if self.limit is None or not self.limit.holds:
            self.closed = False
        elif waiting >= self.limit.max:
            self.closed = True
        elif waiting <= self.limit.reopens_at:
            self.closed = False

    def let_in(self, waiting: int, monotonic: float) -> None:
        """A message came in, and so many wait. With `throttle` the next one has to wait, the longer the fuller."""
        self.seen(waiting)
        limit = self.limit
        if limit is not None and limit.when_full is WhenFull.THROTTLE:
            filled = (waiting - limit.reopens_at) / max(1, limit.max - limit.reopens_at)
            if filled > 0:
                self._open_at = max(self._open_at, monotonic) + min(1.0, filled) * SLOWEST_SECONDS

    def room(self, waiting: int, monotonic: float) -> int:
        """How many messages may be taken in now; 0 while they have to stay outside."""
        limit = self.limit
        if limit is None or not limit.holds:
            return UNBOUNDED
        if self.closed or self._open_at > monotonic:
            return 0
        if limit.when_full is WhenFull.THROTTLE and waiting >= limit.reopens_at:
            return 1
        return max(0, limit.max - waiting)

    def seconds(self, monotonic: float) -> float:
        """When to try again a message that has to stay outside."""
        return HELD_SECONDS if self.closed else max(0.01, min(HELD_SECONDS, self._open_at - monotonic))

"""How long an execution may take: its workflow's timeout and its limit on wall time, whichever is over first."""

import asyncio
from collections.abc import Callable

from engine.clock import Clock
from engine.execution.metering import KIND, Metering, time_is_over
from engine.execution.run import NodeError
from engine.planning.plan import Plan


class Lifetime:
    """The moments (microseconds) at which an execution is warned and must end, and the alarms for them.

    `over` is called with why it failed. `warned` is called when the metering has a warning to be written down.
    """

    def __init__(
        self, plan: Plan, since: int, metering: Metering | None, clock: Clock, *,
        over: Callable[[NodeError], None], warned: Callable[[], None],
    ) -> None:  # fmt: skip
        """`since`: when its time began to run."""
        self._workflow = plan.workflow
        self._since = since
        self._metering = metering
        self._clock = clock
        self._over = over
        self._warned = warned
        self._alarms: list[asyncio.TimerHandle] = []
        wall_time = None if metering is None else metering.seconds
        limits = [limit for limit in (plan.workflow.timeout, wall_time) if limit is not None]
        self._wall_time = wall_time
        self._ends = self._after(min(limits, default=None))
        self._warns = self._after(None if metering is None else metering.warns_after)

    @property
    def is_over(self) -> bool:
        return self._ends is not None and self._ends <= self._clock.now()

    def next_moment(self) -> int | None:
        """When it must be looked at again, though nothing happens; None without any limit."""
        moments = [] if self._ends is None else [self._ends]
        if self._warns is not None and self._warns > self._clock.now():
            moments.append(self._warns)
        return min(moments, default=None)

    def watch(self) -> None:
        """Set the alarms. A warning that is due is given at once, for the next step to write down."""
        if self._ends is not None:
            self._alarm(self._ends, self.end)
        if self._warns is None or self._metering is None:
            return
        if self._warns <= self._clock.now():
            self._metering.warn_of_time(self._passed)
        else:
            self._alarm(self._warns, self._warn)

    def forget(self) -> None:
        """Ring no more."""
        for alarm in self._alarms:
            alarm.cancel()
        self._alarms.clear()

    def end(self) -> None:
        timeout = self._workflow.timeout
        if timeout is not None and (self._wall_time is None or timeout <= self._wall_time):
            self._over(NodeError("timeout", f"the workflow's timeout of {timeout:g} s is over"))
        else:
            self._over(NodeError(KIND, time_is_over(self._wall_time or 0.0, f"workflow {self._workflow.name}")))

    def _warn(self) -> None:
        if self._metering is not None:
            self._metering.warn_of_time(self._passed)
            self._warned()

    def _alarm(self, moment: int, ring: Callable[[], None]) -> None:
        delay = (moment - self._clock.now()) / 1_000_000
        self._alarms.append(asyncio.get_running_loop().call_later(delay, ring))

    def _after(self, seconds: float | None) -> int | None:
        return None if seconds is None else self._since + round(seconds * 1_000_000)

    @property
    def _passed(self) -> float:
        return (self._clock.now() - self._since) / 1_000_000

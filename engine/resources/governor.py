"""The service that bounds what runs by the load of the machine, and tells of it."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import msgspec

from engine.events import Event, Kind
from engine.resources.gauge import Gauge
from engine.resources.scheduling import Policy, Scheduling
from engine.resources.throttle import Throttle
from engine.store import Store, StoreFull
from engine.values import Json

__all__ = ["Governor", "Regime"]

FACT_SECONDS = 60.0
"""At least so long between two facts. Each adjustment is a live event; facts are for those who look back."""


class Regime(msgspec.Struct, frozen=True, kw_only=True):
    """How much may run now, and why."""

    policy: str
    limit: int
    """Executions that may run at the same time."""
    least: int
    most: int
    cpu: float | None = None
    """Percent, averaged; None before the first reading, and under the policy `fixed`, which reads nothing."""
    memory: float | None = None
    adjustments: int = 0
    """How often the limit was changed since the start."""
    problem: str = ""
    """Why the load can't be read; empty if it can. Then nothing is bounded by it."""


class Governor:
    """Governs how many executions run. `run` is its service."""

    def __init__(
        self, store: Store, gauge: Gauge, scheduling: Scheduling, *, most: int, apply: Callable[[int], None]
    ) -> None:
        """`apply` is told of each new limit; it starts with `most`."""
        self._store = store
        self._gauge = gauge
        self._scheduling = scheduling
        self._apply = apply
        self._throttle = Throttle(scheduling, most=most)
        self._adjustments = 0
        self._problem = ""
        self._read_at: float | None = None
        self._told = most
        """The limit that the last fact told."""
        self._told_at: float | None = None

    @property
    def regime(self) -> Regime:
        """How it is now."""
        load, throttle = self._throttle.load, self._throttle
        return Regime(
            policy=self._scheduling.policy.value, limit=throttle.limit, least=throttle.least, most=throttle.most,
            cpu=None if load is None else round(load.cpu, 1), memory=None if load is None else round(load.memory, 1),
            adjustments=self._adjustments, problem=self._problem,
        )  # fmt: skip

    async def run(self) -> None:
        """Read and adjust until cancelled; returns at once under the policy `fixed`."""
        while self._scheduling.policy is not Policy.FIXED:
            await self.adjust()
            await asyncio.sleep(self._scheduling.interval)

    async def adjust(self) -> None:
        """One reading, and what follows from it. A load that can't be read bounds nothing."""
        clock = self._store.clock
        now = clock.monotonic()
        seconds = 0.0 if self._read_at is None else now - self._read_at
        self._read_at = now
        before = self._throttle.limit
        try:
            limit, self._problem = self._throttle.take(self._gauge.read(), seconds), ""
        except OSError as error:
            limit, self._problem = self._throttle.release(), str(error) or type(error).__name__
        if limit != before:
            self._adjustments += 1
            self._apply(limit)
            if self._store.bus.live_wanted:
                self._store.bus.emit([self._event(Kind.AGENT_ADJUSTED, {"was": before})])
        # What changed within the pause after a fact is told at its end, so that the last fact is true.
        if limit != self._told and (self._told_at is None or now - self._told_at >= FACT_SECONDS):
            await self._tell(now)

    async def _tell(self, now: float) -> None:
        fact = self._event(Kind.AGENT_THROTTLED, {"was": self._told})
        limit = self._throttle.limit
        with suppress(StoreFull):  # told when there is room again
            await self._store.submit(lambda tx: tx.fact(fact), patient=False)
            self._told, self._told_at = limit, now

    def _event(self, kind: Kind, more: dict[str, Json]) -> Event:
        return Event(kind=kind, time=self._store.clock.now(), data={**msgspec.to_builtins(self.regime), **more})

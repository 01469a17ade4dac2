"""Schedules start executions: each time once, whatever the process or the clock does.

When a trigger is due next is a row, and it moves on in the same commit that makes the execution: after a crash a time
was either run or is still due. Times that passed while nobody looked follow the trigger's `misfire`:

    once  one execution for the newest of them
    skip  none, unless the newest is less than half a minute old
    all   one each, at most the newest 1,000

A clock that goes back by up to a day repeats nothing: what is due stays due. If it goes back further, it was wrong
before, and the row starts again from now. Times before 2024 are those of a machine that has not learnt the time yet;
when it does, they are dropped, so that 1970 is no outage of half a century.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

import msgspec

from engine.clock import format_time
from engine.definition.model import CronTrigger, Misfire
from engine.flow.placing import placed
from engine.ids import new_execution_id
from engine.schedule import Schedule
from engine.signal import Signal
from engine.states import ExecutionState
from engine.store import Store, Transaction, executions, schedules
from engine.store.executions import ExecutionRow
from engine.triggers.admission import Admission
from engine.triggers.routes import Active, Routes
from engine.values import Json

__all__ = ["Cron"]

MAX_RUNS = 1000
"""Most executions that one outage makes of one trigger."""
MAX_COUNTED = 10_000
"""Passed times are counted up to here."""
GRACE = 30_000_000
"""A time that passed no longer ago is on time, in microseconds."""
MAX_SLEEP_SECONDS = 15.0
"""How soon a clock that was set is noticed; less than GRACE, so that nothing misfires by that alone."""
DAY = 86_400_000_000
CLOCK_IS_SET = 1_704_067_200_000_000
"""2024-01-01: no clock that was ever set shows less."""
NEVER = 2**62

_log = logging.getLogger(__name__)
_encode = msgspec.json.Encoder().encode


class _Trigger(msgspec.Struct):
    """`trigger` as expressions see it."""

    kind: str
    id: str
    time: str
    """The scheduled time, not the one when it ran."""
    missed: int
    """Earlier times that passed and are not run."""
    data: Json


class _Entry:
    """One cron trigger of an active workflow."""

    __slots__ = ("active", "due", "position", "schedule", "trigger")

    def __init__(self, active: Active, position: int, trigger: CronTrigger) -> None:
        self.active = active
        self.position = position
        self.trigger = trigger
        self.schedule = Schedule(trigger.schedule, trigger.timezone)
        self.due = NEVER

    @property
    def key(self) -> tuple[str, int]:
        return self.active.name, self.position

    def next_due(self, instant: int) -> int:
        due = self.schedule.after(instant)
        return NEVER if due is None else due

    def was_ahead(self, due: int, now: int) -> bool:
        """The clock once showed the time before `due`, and that is more than a day away again."""
        if now < CLOCK_IS_SET or due <= now + DAY:
            return False
        return bool(self.schedule.newest(now + DAY, due - 1, 1))


class _Firing(msgspec.Struct):
    """What one entry that is due makes."""

    entry: _Entry
    due: int
    next_due: int
    rows: list[ExecutionRow]
    missed: int


class Cron:
    """The service of the schedules: `follow` the routes after each deploy and undeploy, and `run`."""

    def __init__(
        self, store: Store, admission: Admission, *, sleep: Callable[[float], Awaitable[object]] | None = None
    ) -> None:
        """`sleep` lets tests pass virtual time; without it the service also wakes when schedules change."""
        self.counters = {"fired": 0, "missed": 0}
        """Executions made, and times not run, since the start."""
        self._store = store
        self._admission = admission
        self._changed = Signal()
        self._sleep = sleep or self._changed.wait
        self._routes: Routes | None = None
        self._entries: list[_Entry] = []
        self._ahead = self._clock_ahead()

    async def follow(self, routes: Routes) -> None:
        """Make the rows those of the active workflows: new and changed schedules are due at their next time, unchanged
        ones when they were, others go. Call it at boot and after each deploy and undeploy; waits out a full disk."""
        now = self._store.clock.now()
        entries = [
            _Entry(active, position, trigger)
            for active in routes.active.values()
            for position, trigger in enumerate(active.workflow.triggers)
            if isinstance(trigger, CronTrigger)
        ]
        fresh = {entry.key: entry.next_due(now) for entry in entries}

        def unit(tx: Transaction) -> list[int]:
            schedules.forget_inactive(tx)
            known = schedules.listing(tx)
            # The row of a definition that can't be loaded now stays: its time may come.
            schedules.forget(tx, [key for key in known if key[0] in routes.active and key not in fresh])
            dues: list[int] = []
            for entry in entries:
                schedule, due = known.get(entry.key, ("", 0))
                if schedule != entry.schedule.text or entry.was_ahead(due, now):
                    due = fresh[entry.key]
                    if not schedules.put(tx, *entry.key, entry.schedule.text, due):
                        due = NEVER
                dues.append(due)
            return dues

        dues = await self._store.submit(unit)
        for entry, due in zip(entries, dues, strict=True):
            entry.due = due
        self._routes, self._entries = routes, entries
        self._changed.set()

    async def run(self) -> None:
        """Start what is due, until cancelled. Raises StoreBroken; a full disk is waited out."""
        while True:
            await self._look_at_the_clock()
            now = self._store.clock.now()
            due = [entry for entry in self._entries if entry.due <= now]
            if due:
                await self._fire(due, now)
                continue
            soonest = min((entry.due for entry in self._entries), default=NEVER)
            await self._sleep(min((soonest - now) / 1_000_000, MAX_SLEEP_SECONDS))

    def _clock_ahead(self) -> float:
        """Seconds by which wall time is ahead of monotonic time: less than before means that it was put back."""
        clock = self._store.clock
        return clock.now() / 1_000_000 - clock.monotonic()

    async def _look_at_the_clock(self) -> None:
        before, self._ahead = self._ahead, self._clock_ahead()
        if self._ahead < before - DAY / 1_000_000 and self._routes is not None:
            _log.warning("the clock was put back by %d seconds; schedules start again from now", before - self._ahead)
            await self.follow(self._routes)

    async def _fire(self, entries: list[_Entry], now: int) -> None:
        firings = [await self._firing(entry, now) for entry in entries]

        def unit(tx: Transaction) -> list[bool]:
            moved: list[bool] = []
            for firing in firings:
                entry = firing.entry
                ours = schedules.advance(tx, *entry.key, entry.schedule.text, due=firing.due, next_due=firing.next_due)
                if ours:
                    for row in firing.rows:
                        executions.create(tx, row)
                moved.append(ours)
            return moved

        moved = await self._store.submit(unit)
        stale = False
        for firing, ours in zip(firings, moved, strict=True):
            if not ours:
                firing.entry.due = NEVER
                stale = stale or firing.entry in self._entries
                continue
            firing.entry.due = firing.next_due
            self.counters["fired"] += len(firing.rows)
            self.counters["missed"] += firing.missed
            if firing.rows:
                self._admission.admit(firing.rows)
        if stale and self._routes is not None:
            await self.follow(self._routes)

    async def _firing(self, entry: _Entry, now: int) -> _Firing:
        due = entry.due
        if due < CLOCK_IS_SET <= now:
            return _Firing(entry, due, entry.next_due(now), [], 0)
        times, next_due = [due], entry.next_due(due)
        if next_due <= now:
            # Up to half a second of arithmetic after a long outage: on a thread of asyncio's pool. Nothing is found
            # where the zone's own rules changed since.
            times = await asyncio.to_thread(entry.schedule.newest, due, now, MAX_COUNTED) or times
            next_due = entry.next_due(now)
        runs = _runs(entry.trigger.misfire, times, now)
        missed = len(times) - len(runs)
        if missed:
            _log.warning(
                "%s: %s%d times of %s passed; %d of them run now, by misfire: %s",
                entry.active.name, "more than " if len(times) == MAX_COUNTED else "", len(times),
                entry.schedule.text, len(runs), entry.trigger.misfire.value,
            )  # fmt: skip
        return _Firing(entry, due, next_due, [_row(entry, time, missed, now) for time in runs], missed)


def _runs(misfire: Misfire, times: list[int], now: int) -> list[int]:
    """Which of the times that passed are run."""
    if misfire is Misfire.ALL:
        return times[-MAX_RUNS:]
    if misfire is Misfire.SKIP and now - times[-1] > GRACE:
        return []
    return times[-1:]


def _row(entry: _Entry, time: int, missed: int, now: int) -> ExecutionRow:
    execution = new_execution_id(now)
    shown = format_time(time)
    name = f"{entry.active.name}/{entry.position}/{shown}"
    row = ExecutionRow(
        id=execution,
        workflow=entry.active.name,
        version=entry.active.version,
        status=ExecutionState.QUEUED,
        root=execution,
        trigger=_encode(_Trigger("cron", name, shown, missed, entry.trigger.data)),
        created_at=now,
    )
    return placed(row, entry.active.workflow)

"""What happens in the fleet starts executions: each event, count and figure once.

The record is read in its order, behind a position that is a row of the agent's store; it moves on in the same commit
that makes the executions and notes what the triggers remember. So what was recorded starts what it has to start
whenever the process dies, and never twice. A new trigger begins at the newest event; so do all, if the record was lost.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence

import msgspec

from engine.crash import crash_point
from engine.definition.fleet import FleetTrigger
from engine.events import Identity
from engine.expressions import ExpressionError
from engine.fleet.query import EventQuery, Numbered
from engine.signal import Signal
from engine.store import Store, StoreCorrupt, Transaction, deadletters, executions, watches
from engine.store.deadletters import DeadLetter
from engine.store.executions import ExecutionRow
from engine.triggers.admission import Admission
from engine.triggers.fleet.counting import Counting
from engine.triggers.fleet.record import FleetRecord
from engine.triggers.fleet.starting import Starting
from engine.triggers.fleet.telling import Labels, Seen
from engine.triggers.fleet.watch import Watch
from engine.triggers.routes import Routes

__all__ = ["Watcher"]

LOOK_SECONDS = 10.0
"""How often figures are looked at, and events at least; a commit of the recorder with some tells at once."""
BATCH = 256
"""Events looked at in one step."""
MAX_BEHIND = 1000
"""Events after which a position is written down all the same, so that a restart has not much to look at again."""
MINUTE = 60_000_000

_log = logging.getLogger(__name__)


class _Step(msgspec.Struct):
    """What one workflow's triggers make of some events, or of figures."""

    watch: Watch
    number: int
    """The newest event that was looked at."""
    rows: list[ExecutionRow] = []
    letters: list[DeadLetter] = []


class Watcher:
    """The service: `follow` the routes at the start and after each deploy and undeploy, and `run`."""

    def __init__(self, store: Store, record: FleetRecord, admission: Admission, identity: Identity) -> None:
        self.counters = {"started": 0, "dead": 0}
        """Executions and dead letters made since the start."""
        self._store = store
        self._record = record
        self._admission = admission
        self._starting = Starting(store, record, identity)
        self._signal = Signal()
        self._turn = asyncio.Lock()
        """A step and a change of the triggers never overlap."""
        self._routes = Routes(agent=identity.agent)
        self._watches: list[Watch] = []
        self._is_stale = False
        """What the triggers remember may be ahead of the store: they are made anew."""
        self._since = store.clock.monotonic()
        self._judged: tuple[int, int] | None = None
        self._tidied = 0
        self._made_many = False
        record.listeners.append(self._told)

    async def follow(self, routes: Routes) -> None:
        """Make the rows those of the active workflows: triggers that stayed the same go on where they were, new ones
        begin at the newest event. Call it at the start and after each deploy and undeploy; waits out a full disk."""
        async with self._turn:
            await self._follow(routes)
        self._signal.set()

    async def run(self) -> None:
        """Start what the fleet asks for, until cancelled. Raises StoreBroken; a full disk is waited out, and a record
        that can't be read is tried again."""
        while True:
            if self._made_many and self._admission.free_slots() <= 0:
                await self._admission.wait_for_slots()
            more = False
            try:
                async with self._turn:
                    if self._is_stale:
                        await self._follow(self._routes)
                    more = await self._look()
                    if not more:
                        await self._judge()
            except StoreCorrupt as damage:
                _log.error("%s; fleet triggers try again", damage)
                self._watches, self._is_stale = [], True
            if not more:
                await self._signal.wait(LOOK_SECONDS)

    def _told(self, events: list[Numbered]) -> None:
        if any(watch.reads for watch in self._watches):
            self._signal.set()

    # --- which triggers there are

    async def _follow(self, routes: Routes) -> None:
        newest, now = await self._record.newest(), self._store.clock.now()
        wanted = [
            active
            for active in routes.active.values()
            if any(isinstance(trigger, FleetTrigger) for trigger in active.workflow.triggers)
        ]
        before = {watch.name: watch for watch in self._watches}
        names = {active.name for active in wanted}

        def unit(tx: Transaction) -> tuple[list[Watch], list[str]]:
            watches.forget_inactive(tx)
            known = watches.listing(tx)
            # The row of a definition that can't be loaded now stays: it will go on from there.
            watches.forget(tx, [name for name in known if name in routes.active and name not in names])
            found: list[Watch] = []
            rewound = [name for name in names if known.get(name, 0) > newest]
            for active in wanted:
                is_known = active.name in known and active.name not in rewound
                old = before.get(active.name) if is_known else None
                watch = Watch(active, old, begun=known[active.name] if is_known else newest, now=now)
                states = watches.states(tx, active.name)
                if old is None:
                    watch.restore(states, rewound=active.name in rewound)
                begun = watch.begun()
                watches.forget_triggers(tx, active.name, [key for key in states if key not in begun])
                watches.keep(tx, active.name, [(key, watches.WHERE_BEGUN, state) for key, state in begun.items()])
                watches.put(tx, active.name, watch.stored)
                found.append(watch)
            return found, rewound

        self._watches, rewound = await self._store.submit(unit)
        for name in rewound:
            _log.warning("%s: the record of the fleet is another one than before: it begins at its newest event", name)
        self._routes, self._is_stale, self._judged = routes, False, None

    async def _warm(self, watch: Watch, counting: Counting, labels: Labels) -> None:
        """Let a count know the events from where it began to the position, after a start."""
        now = self._store.clock.now()
        after = counting.begun
        while after < watch.seen:
            found = await self._record.events(
                EventQuery(
                    kinds=counting.trigger.kinds,
                    workflows=counting.trigger.workflows,
                    since=counting.wanted_since(now),
                    after=after,
                    limit=BATCH,
                )
            )
            for numbered in found:
                if numbered.number <= watch.seen:
                    try:
                        counting.remember(Seen(numbered, labels), now)
                    except ExpressionError:
                        continue  # it was not counted before, either
            after = found[-1].number if len(found) == BATCH else watch.seen
        counting.is_warm = True

    # --- events

    async def _look(self) -> bool:
        """One step through the events; False if there are no more."""
        reading = [watch for watch in self._watches if watch.reads]
        if not reading:
            return False
        newest = await self._record.newest()
        after = min(watch.seen for watch in reading)
        if newest <= after:
            return False
        events = await self._record.events(_superset(reading, after))
        reached = events[-1].number if len(events) == BATCH else max([newest, *(one.number for one in events)])
        labels = await self._record.labels()
        now = self._store.clock.now()
        self._tidy(now)
        steps: list[_Step] = []
        for watch in reading:
            for counting in watch.counting.values():
                if not counting.is_warm:
                    await self._warm(watch, counting, labels)
            last = max(watch.seen, reached)
            step = await self._step(watch, events, labels, last, now)
            if step.rows or step.letters or last - watch.stored > MAX_BEHIND:
                steps.append(step)
            else:
                watch.seen = last
        if steps:
            await self._commit(steps)
        self._made_many = any(step.rows for step in steps)
        return True

    async def _step(self, watch: Watch, events: Sequence[Numbered], labels: Labels, number: int, now: int) -> _Step:
        step = _Step(watch, number, [], [])
        firings = watch.take(events, labels, now)
        known = {one.number: Seen(one, labels) for one in events} if firings else {}
        for firing in firings:
            made = await self._starting.of(watch.active, firing, labels, known)
            if isinstance(made, ExecutionRow):
                step.rows.append(made)
            else:
                step.letters.append(made)
        return step

    def _tidy(self, now: int) -> None:
        if now // MINUTE != self._tidied:
            self._tidied = now // MINUTE
            for watch in self._watches:
                for counting in watch.counting.values():
                    counting.tidy(now)

    # --- figures

    async def _judge(self) -> None:
        """Look at the figures, if they can be others than at the last look."""
        judging = [watch for watch in self._watches if watch.judging]
        now = self._store.clock.now()
        moment = (await self._record.newest() if judging else 0, now // MINUTE)
        if moment == self._judged:
            return
        self._judged = moment
        labels = await self._record.labels() if judging else {}
        up_for = round((self._store.clock.monotonic() - self._since) * 1_000_000)
        steps: list[_Step] = []
        for watch in judging:
            step = _Step(watch, watch.seen, [], [])
            for one in watch.judging.values():
                for judged in await one.look(self._record, now, up_for=up_for):
                    step.rows.append(await self._starting.of_figure(watch.active, one, judged, labels))
            if step.rows or any(one.changed for one in watch.judging.values()):
                steps.append(step)
        if steps:
            await self._commit(steps)

    # --- both

    async def _commit(self, steps: list[_Step]) -> None:
        changes = [[(*key, state) for key, state in step.watch.changes().items()] for step in steps]

        def unit(tx: Transaction) -> list[bool]:
            moved: list[bool] = []
            for step, changed in zip(steps, changes, strict=True):
                watch = step.watch
                ours = watches.advance(tx, watch.name, number=watch.stored, next_number=step.number)
                if ours:
                    for row in step.rows:
                        executions.create(tx, row)
                    for letter in step.letters:
                        deadletters.bury(tx, letter)
                    watches.keep(tx, watch.name, changed)
                moved.append(ours)
            crash_point("fleet-before-commit")
            return moved

        moved = await self._store.submit(unit)
        crash_point("fleet-after-commit")
        for step, ours in zip(steps, moved, strict=True):
            watch = step.watch
            watch.seen = step.number
            if not ours:  # undeployed a moment ago: whoever did it lets us follow next
                continue
            watch.stored = step.number
            watch.committed()
            self.counters["started"] += len(step.rows)
            self.counters["dead"] += len(step.letters)
            if step.rows:
                self._admission.admit(step.rows)


def _superset(watched: Iterable[Watch], after: int) -> EventQuery:
    """All events that some of them may want, and as few others as can be said simply."""
    triggers = [trigger for watch in watched for trigger in watch.of_events]

    def union(wanted: Callable[[FleetTrigger], tuple[str, ...]]) -> tuple[str, ...]:
        """Nothing, which is everything, where one of them says nothing."""
        if not all(wanted(trigger) for trigger in triggers):
            return ()
        return tuple(dict.fromkeys(one for trigger in triggers for one in wanted(trigger)))

    return EventQuery(
        kinds=union(lambda trigger: trigger.kinds), workflows=union(lambda trigger: trigger.workflows), after=after,
        limit=BATCH,
    )  # fmt: skip

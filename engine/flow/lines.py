"""All workflows with a flow, in memory: who starts next, and whether there is room for more.

Who has the highest priority starts first, then who came first; every eighth start goes to the one that waits longest,
so that nobody starves. Executions of workflows without a flow compete with priority 0.
"""

from collections.abc import Awaitable, Callable, Iterator
from functools import partial

from engine.clock import Clock
from engine.definition.flow import Flow, Rate
from engine.flow.door import UNBOUNDED, Door
from engine.flow.line import NO_FLOW, WINDOW, Candidate, Line
from engine.flow.rate import Log
from engine.store import Store, Transaction, turns
from engine.store.executions import ExecutionRow
from engine.store.turns import Turn

FAIR = 8
"""Every so many starts the oldest goes first, whatever its priority."""
NEVER = 2**62


class Lines:
    """The executor's view of them. `load` at boot; before that, the store alone knows."""

    def __init__(
        self, store: Store, *, active: Callable[[str], Flow | None], stored: Callable[[str], Awaitable[Flow]],
        is_held: Callable[[str], bool], high: int, low: int,
    ) -> None:  # fmt: skip
        """`active` gives the flow of a deployed workflow, `stored` that of one which is not deployed any more.
        `is_held`: an execution runs or is being changed. The marks are for all waiting executions of the agent."""
        self._store = store
        self._clock: Clock = store.clock
        self._active = active
        self._stored = stored
        self._is_held = is_held
        self._high, self._low = high, low
        self._lines: dict[str, Line] = {}
        self._loaded = False
        self._came_meanwhile = False
        self._choices = 0
        self._ahead: float | None = None
        """Seconds by which wall time was ahead of monotonic time."""
        self.waiting = 0
        """Executions of all lines that have not started."""
        self.full = False
        """There were `high` of them, and there are still more than `low`."""
        self.quiet_until = NEVER
        """When the next quiet time is over, as far as it is known."""

    @property
    def in_use(self) -> bool:
        """Some execution may have a turn."""
        return bool(self._lines) or not self._loaded

    async def load(self) -> None:
        """What the last process left: how many wait, and whom it had taken and not begun."""
        while True:
            self._came_meanwhile = False
            counts = await self._store.submit(turns.recover)
            if not self._came_meanwhile:
                break
        for workflow, waiting in counts.items():
            self._lines[workflow] = Line(workflow, self._active(workflow) or NO_FLOW, waiting=waiting, cut=True)
        self._loaded = True
        self.quiet_until = 0 if counts else NEVER
        self._count(sum(counts.values()))

    # --- coming

    def admit(self, row: ExecutionRow) -> None:
        """A new execution was committed, in its place."""
        place = row.place
        if place is None:
            return
        if not self._loaded:
            self._came_meanwhile = True
            return
        line = self._line(row.workflow)
        line.waiting += 1
        self._count(1)
        line.door.let_in(line.waiting, self._clock.monotonic())
        if place.until is not None and place.turn is Turn.QUIET:
            self.quiet_until = min(self.quiet_until, place.until)
        elif place.turn is Turn.READY:
            line.offer(Candidate(-place.priority, row.num, row.id, row=row))

    def look_again(self, workflow: str) -> None:
        """Somebody of it may start whom only the store knows."""
        self._line(workflow).stale = True

    def obey(self) -> None:
        """Definitions were deployed or undeployed."""
        for line in self._lines.values():
            flow = self._active(line.name)
            if flow is not None:
                line.obey(flow, self._clock.monotonic())

    def left(self, workflow: str, count: int = 1) -> None:
        """Executions were cancelled, superseded or dropped before they started; others of their key may start now."""
        line = self._line(workflow)
        line.waiting = max(0, line.waiting - count)
        line.door.seen(line.waiting)
        line.stale = True
        self._count(-count)

    async def end_quiet_times(self) -> None:
        """Those that are over; all that began in a future that a clock which was put back has taken away."""
        put_back, more = self._was_put_back(), True
        while more:
            first = await self._store.read(turns.next_quiet)
            self.quiet_until = NEVER if first is None else first
            if first is None or (first > self._clock.now() and not put_back):
                return
            end = partial(turns.end_quiet, now=self._clock.now(), put_back=put_back)
            workflows, put_back = await self._store.submit(end)
            for workflow in workflows:
                self.look_again(workflow)
            more = bool(workflows)

    def _was_put_back(self) -> bool:
        """The wall clock went back since this was last asked, or nobody asked before."""
        before, self._ahead = self._ahead, self._clock.now() / 1_000_000 - self._clock.monotonic()
        return before is None or self._ahead < before - 1.0

    # --- starting

    def choose(self, plain: int | None) -> tuple[Line, Candidate] | None:
        """Who starts next; None for the first of the plain queue, whose number is `plain`, or for nobody."""
        monotonic = self._clock.monotonic()
        fair = self._choices % FAIR == FAIR - 1
        chosen: tuple[Line, Candidate] | None = None
        best = (NEVER, NEVER)
        if plain is not None:
            best = (plain, 0) if fair else (0, plain)
        contested = False
        for line in self._lines.values():
            candidates = line.candidates(monotonic)
            if not candidates:
                continue
            contested = True
            candidate = min(candidates, key=_number) if fair else candidates[0]
            order = (candidate.num, 0) if fair else (candidate.rank, candidate.num)
            if order < best:
                chosen, best = (line, candidate), order
        self._choices += contested
        if chosen is not None and fair and chosen[0].cut:
            chosen[0].stale = True  # the next oldest may not be in the window
        return chosen

    def begin(self, line: Line, candidate: Candidate) -> None:
        """It gets a slot; `take` makes that durable."""
        line.remove(candidate.id)
        line.running += 1
        if line.log is not None and not candidate.again:
            line.log.started(self._clock.monotonic())

    async def take(self, line: Line, candidate: Candidate) -> bool:
        """Make it durable that it starts. False if it may not any more."""
        now, rate = self._clock.now(), line.flow.rate
        counted = None if rate is None or candidate.again else now - round(rate.per * 1_000_000)

        def unit(tx: Transaction) -> bool:
            taken = turns.take(tx, candidate.id)
            if taken and counted is not None:
                turns.record_start(tx, line.name, candidate.id, now, forget_before=counted)
            return taken

        taken = await self._store.submit(unit)
        if not taken:
            line.stale = True
            if line.log is not None and not candidate.again:
                line.log.take_back()
        elif not candidate.again:
            line.waiting = max(0, line.waiting - 1)
            line.door.seen(line.waiting)
            self._count(-1)
        return taken

    def ended(self, line: Line) -> None:
        """One that had begun let go of its slot; if it has ended, the next of its key may start."""
        line.running -= 1
        line.stale = True

    # --- asking the store

    def wanting(self) -> list[Line]:
        """Lines that `fetch` is to be called for; each is marked."""
        lines = [line for line in self._lines.values() if line.wants]
        for line in lines:
            line.fetching = True
        return lines

    async def fetch(self, line: Line) -> None:
        """Ask the store who may start."""
        line.stale = False
        flow = self._active(line.name)
        if flow is None and line.flow is NO_FLOW:
            flow = await self._stored(line.name)
        if flow is not None:
            line.obey(flow, self._clock.monotonic())
        if (rate := line.flow.rate) is not None and line.log is None:
            line.log = await self._load_log(line.name, rate)
        found = await self._store.read(lambda db: turns.ready(db, line.name, WINDOW))
        line.fetching = False
        fresh = sum(waiting.turn is Turn.READY for waiting in found)
        again = len(found) - fresh
        line.replace(
            [
                Candidate(-waiting.priority, waiting.num, waiting.execution, waiting.turn is Turn.AGAIN)
                for waiting in found
                if not self._is_held(waiting.execution)
            ],
            cut=fresh >= WINDOW or again >= WINDOW,
        )

    async def _load_log(self, workflow: str, rate: Rate) -> Log:
        now = self._clock.now()
        times = await self._store.submit(lambda tx: turns.starts(tx, workflow, now, rate.max))
        return Log(rate, [(now - at) / 1_000_000 for at in times])

    # --- room

    def room(self, workflow: str, flow: Flow) -> int:
        """How many more messages of this workflow may come in now."""
        if flow.queue is None or not flow.queue.holds:
            return UNBOUNDED
        return self._door(workflow, flow).room(self._waiting_of(workflow), self._clock.monotonic())

    def seconds_to_wait(self, workflow: str, flow: Flow) -> float:
        """When to try again what found no room."""
        return self._door(workflow, flow).seconds(self._clock.monotonic())

    def pause(self) -> float:
        """Seconds until a rate lets somebody start who waits for nothing else."""
        monotonic = self._clock.monotonic()
        pauses = (line.pause(monotonic) for line in self._lines.values() if line.window and not line.full)
        return min((pause for pause in pauses if pause > 0), default=float(NEVER))

    def line(self, workflow: str) -> Line | None:
        """To be looked at."""
        return self._lines.get(workflow)

    def __iter__(self) -> Iterator[Line]:
        return iter(self._lines.values())

    # --- how

    def _line(self, workflow: str) -> Line:
        line = self._lines.get(workflow)
        flow = self._active(workflow)
        if line is None:
            line = self._lines[workflow] = Line(workflow, flow or NO_FLOW)
        elif flow is not None:
            line.obey(flow, self._clock.monotonic())
        return line

    def _door(self, workflow: str, flow: Flow) -> Door:
        line = self._lines.get(workflow)
        return Door(flow.queue) if line is None else line.door

    def _waiting_of(self, workflow: str) -> int:
        line = self._lines.get(workflow)
        return 0 if line is None else line.waiting

    def _count(self, change: int) -> None:
        self.waiting = max(0, self.waiting + change)
        if self.waiting >= self._high:
            self.full = True
        elif self.waiting <= self._low:
            self.full = False


def _number(candidate: Candidate) -> int:
    return candidate.num

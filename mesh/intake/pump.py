"""All ways in. The agent tells which subjects its workflows want, at boot and at each deploy."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial

from engine.clock import Clock, SystemClock
from engine.definition.model import At
from engine.signal import Signal
from engine.triggers.routes import External, Plain
from mesh import streams
from mesh.connection import LOST, Connection, Link
from mesh.intake import checks, source
from mesh.intake.capture import Capture
from mesh.intake.departed import Departed
from mesh.intake.hand import Hand
from mesh.intake.lane import Lane, Prepare
from mesh.intake.sink import Sink, Slots
from mesh.intake.source import Source
from mesh.jetstream import StreamInfo
from mesh.streams import INTAKE, TRIGGERS, Limits

READY_SECONDS = 5.0
"""How long a deploy waits for new consumers and subscriptions. They come later too."""
_logger = logging.getLogger("ganglion.mesh")


class Pump:
    """Pumps messages from NATS into the engine; `run` is its service.

    `slots` are the agent's; `room_for` those of one source, as the queues of the workflows that it feeds have room.
    `own_server`: the server is this agent's alone (embedded). Then one consumer takes all triggers, and the users'
    subjects are captured by a stream of ours. On a shared server what is for anyone is fetched workflow by workflow,
    by consumers that the agents share: each takes only what it has. `at`: which place this is to the triggers; None for
    both, own and hub.
    """

    def __init__(
        self,
        connection: Connection,
        sink: Sink,
        slots: Slots,
        *,
        room_for: Callable[[str], Slots] | None = None,
        agent: str,
        tenant: str = "default",
        own_server: bool = True,
        at: At | None = None,
        limits: Limits | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._connection = connection
        self._sink = sink
        self._slots = slots
        self._room_for = room_for or (lambda workflow: slots)
        """The slots of what one workflow fetches; with an empty name, of the subjects that all share."""
        self._agent = agent
        self._tenant = tenant
        self._own_server = own_server
        self._at = at
        self._limits = limits or Limits()
        self._clock = clock or SystemClock()
        self.counters: Counter[str] = Counter()
        """acknowledged, held (to come again: a queue is full), given back (to others, without room for it here),
        unconfirmed (delivered again), dropped (by plain subscriptions)."""
        self._hand = Hand()
        self._intake: tuple[str, ...] = ()
        self._unmet: frozenset[str] = frozenset()
        """Subjects for which there is no stream on a shared server: known since the start."""
        self._wanted: dict[Source | Plain, Lane | Capture] = {}
        self._running: dict[Source | Plain, asyncio.Task[None]] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._changing = asyncio.Lock()
        self._intake_wanted = Signal()
        self._departed = Departed(connection, self._changing)

    async def run(self) -> None:
        """Fetch, hand over and acknowledge until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            try:
                if self._own_server:
                    triggers = source.triggers_of_own_server()
                    tasks.create_task(self._take_intake(), name=INTAKE)
                else:
                    triggers = source.addressed(self._tenant, self._agent)
                    tasks.create_task(self._departed.run(), name="removing consumers")
                tasks.create_task(self._serve(self._lane(triggers, self._triggers_stream)), name=TRIGGERS)
                self._start_wanted(tasks)
                await asyncio.Event().wait()
            finally:
                self._tasks = None
                self._running.clear()

    async def set_subjects(
        self,
        *,
        intake: Iterable[str] = (),
        core: Iterable[str] = (),
        plain: Iterable[Plain] = (),
        externals: Iterable[External] = (),
        workflows: Iterable[str] = (),
        strict: bool = True,
    ) -> None:
        """Take in these subjects and no others: `intake` is a disjoint cover for the agent's own stream, `core` one for
        plain subscriptions of its own server, `plain` those of a shared one, `workflows` all that are active.

        When it returns and NATS is there, what is published from now on is taken in; without NATS it will be done when
        there is. Raises StreamConflict, and changes nothing, if something new can't be taken in; unless it is `strict`,
        that is logged, tried on, and does not touch the rest.
        """
        subjects = tuple(sorted(intake))
        plains = [*(Plain(subject) for subject in core), *plain]
        async with self._changing:
            link = self._connection.link_nowait()
            lanes = self._lanes_for(externals, () if self._own_server else workflows)
            fresh = [one for one in lanes if one not in self._wanted and one.stream != TRIGGERS]
            before = self._intake
            try:
                problems = await checks.problems_of_sources(link, fresh)
                if not self._own_server:
                    problems += checks.problems_of_shared({*subjects} - self._unmet)
                elif not (strict and problems):
                    self._intake = subjects
                    problems += await checks.problems_of_intake(link, subjects, self._limits)
                if strict and problems:
                    raise problems[0]
            except BaseException:
                self._intake = before
                wanted = [one for one in self._wanted if isinstance(one, Source)]
                await checks.restore(link, fresh, wanted)
                self._departed.add(fresh, but=wanted)
                raise
            for problem in problems:
                _logger.error("some messages can't be taken in: %s", problem)
            self._unmet = frozenset(subjects)
            new = self._want(plains, lanes)
            self._intake_wanted.set()
            await self._stop_unwanted()
            if self._tasks is not None:
                self._start_wanted(self._tasks)
                if link is not None:
                    await self._all_ready(link, new)

    async def _all_ready(self, link: Link, lanes: Iterable[Lane | Capture]) -> None:
        with suppress(*LOST):
            async with asyncio.timeout(READY_SECONDS):
                await link.nc.flush()
                for lane in lanes:
                    await lane.ready.wait()

    def _lanes_for(self, externals: Iterable[External], workflows: Iterable[str]) -> dict[Source, Lane]:
        """A lane for each source; those that run already stay the same."""
        lanes: dict[Source, Lane] = {}
        for external in source.together(externals, at=self._at, own_server=self._own_server):
            one = source.of_stream(external, tenant=self._tenant, agent=self._agent)
            lanes[one] = self._known(one) or self._lane(
                one, partial(checks.existing_stream, source=one), self._room_for(one.workflow)
            )
        for workflow in workflows:
            one = source.anyones(self._tenant, workflow)
            lanes[one] = self._known(one) or self._lane(one, self._triggers_stream, self._room_for(workflow))
        return lanes

    def _known(self, one: Source) -> Lane | None:
        lane = self._wanted.get(one)
        return lane if isinstance(lane, Lane) else None

    def _want(self, plains: Iterable[Plain], lanes: dict[Source, Lane]) -> list[Lane | Capture]:
        """Set what is wanted; gives what is new of it."""
        before = self._wanted
        self._wanted = dict[Source | Plain, Lane | Capture](lanes.items())
        for plain in plains:
            self._wanted[plain] = before.get(plain) or Capture(
                plain, tenant=self._tenant, sink=self._sink, clock=self._clock, counters=self.counters
            )
        self._departed.add((one for one in before if isinstance(one, Source)), but=lanes)
        return [lane for key, lane in self._wanted.items() if key not in before]

    async def _stop_unwanted(self) -> None:
        stopping = [self._running.pop(key) for key in self._running.keys() - self._wanted.keys()]
        for task in stopping:
            task.cancel()
        if stopping:
            await asyncio.wait(stopping)

    def _start_wanted(self, tasks: asyncio.TaskGroup) -> None:
        for key in self._wanted.keys() - self._running.keys():
            self._running[key] = tasks.create_task(self._serve(self._wanted[key]))

    async def _serve(self, lane: Lane | Capture) -> None:
        name = lane.plain.subject if isinstance(lane, Capture) else f"{lane.source.stream}/{lane.source.consumer}"
        await self._connection.serve(lane.work, name=name)

    async def _take_intake(self) -> None:
        """The agent's own stream: it is not there while no workflow wants a subject, nor its lane."""
        while True:
            lane = self._lane(source.intake_of_own_server(), self._intake_stream, self._room_for(""))
            await self._serve(lane)
            while not self._intake:
                await self._intake_wanted.wait()

    def _lane(self, one: Source, prepare: Prepare, slots: Slots | None = None) -> Lane:
        return Lane(
            one,
            prepare,
            sink=self._sink,
            slots=slots or self._slots,
            hand=self._hand,
            clock=self._clock,
            counters=self.counters,
        )

    async def _triggers_stream(self, link: Link) -> StreamInfo:
        return await streams.ensure_triggers(link.nc, self._tenant, self._limits)

    async def _intake_stream(self, link: Link) -> StreamInfo | None:
        return await streams.ensure_intake(link.nc, self._intake, self._limits)

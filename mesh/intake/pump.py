"""All ways in. The agent tells which subjects its workflows want, at boot and at each deploy."""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress

from engine.clock import Clock, SystemClock
from engine.signal import Signal
from engine.triggers.routes import External
from mesh import streams
from mesh.connection import LOST, Connection, Link
from mesh.errors import StreamConflict
from mesh.intake.capture import Capture
from mesh.intake.lane import Lane, Prepare, Source
from mesh.intake.sink import Sink, Slots
from mesh.jetstream import StreamInfo, stream_info
from mesh.streams import INTAKE, TRIGGERS, Limits

READY_SECONDS = 5.0
"""How long a deploy waits for new consumers and subscriptions. They come later too."""
_OURS = "agent"


class Pump:
    """Pumps messages from NATS into the engine; `run` is its service.

    `slots` are the agent's; `room_for` those of one source, as the queues of the workflows that it feeds have room.
    `own_server`: the server is this agent's alone (embedded). Then one consumer takes all triggers, and the users'
    subjects are captured by a stream of ours. On a shared server `any` is shared with the other agents.
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
        self._limits = limits or Limits()
        self._clock = clock or SystemClock()
        self.counters: Counter[str] = Counter()
        """acknowledged, held (to come again: a queue is full), unconfirmed (delivered again), dropped (by plain
        subscriptions)."""
        self._intake: tuple[str, ...] = ()
        self._wanted: dict[Source | str, Lane | Capture] = {}
        self._running: dict[Source | str, asyncio.Task[None]] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._changing = asyncio.Lock()
        self._intake_wanted = Signal()

    async def run(self) -> None:
        """Fetch, hand over and acknowledge until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            try:
                for source in self._trigger_sources():
                    tasks.create_task(self._serve(self._lane(source, self._triggers_stream)), name=source.consumer)
                if self._own_server:
                    tasks.create_task(self._take_intake(), name=INTAKE)
                self._start_wanted(tasks)
                await asyncio.Event().wait()
            finally:
                self._tasks = None
                self._running.clear()

    async def set_subjects(
        self, *, intake: Iterable[str] = (), core: Iterable[str] = (), externals: Iterable[External] = ()
    ) -> None:
        """Take in these subjects and no others: `intake` is a disjoint cover for the agent's own stream.

        When it returns and NATS is there, what is published from now on is taken in; without NATS it will be done when
        there is. Raises StreamConflict, and changes nothing, if a stream can't be made.
        """
        wanted = tuple(sorted(intake))
        externals = tuple(externals)
        if wanted and not self._own_server:
            raise StreamConflict(
                f"{wanted[0]}: on a shared server a trigger takes from an existing stream (stream: NAME) "
                "or from a plain subscription (capture: core)"
            )
        async with self._changing:
            link = self._connection.link_nowait()
            before, self._intake = self._intake, wanted
            if link is not None:
                try:
                    for external in externals:
                        await self._existing_stream(link, external)
                    if self._own_server:
                        await streams.ensure_intake(link.nc, wanted, self._limits)
                except BaseException:
                    self._intake = before
                    raise
            self._want(core, externals)
            self._intake_wanted.set()
            await self._stop_unwanted()
            if self._tasks is not None:
                self._start_wanted(self._tasks)
                if link is not None:
                    await self._all_ready(link)

    async def _all_ready(self, link: Link) -> None:
        with suppress(*LOST):
            async with asyncio.timeout(READY_SECONDS):
                await link.nc.flush()
                for lane in list(self._wanted.values()):
                    await lane.ready.wait()

    def _want(self, core: Iterable[str], externals: Iterable[External]) -> None:
        wanted: dict[Source | str, Lane | Capture] = {}
        for subject in core:
            wanted[subject] = self._wanted.get(subject) or Capture(
                subject, sink=self._sink, clock=self._clock, counters=self.counters
            )
        for external in externals:
            source = _source(external)
            wanted[source] = self._wanted.get(source) or self._external_lane(source, external)
        self._wanted = wanted

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
        name = lane.subject if isinstance(lane, Capture) else f"{lane.source.stream}/{lane.source.consumer}"
        await self._connection.serve(lane.work, name=name)

    async def _take_intake(self) -> None:
        """The agent's own stream: it is not there while no workflow wants a subject, nor its lane."""
        while True:
            await self._serve(self._lane(Source(INTAKE, _OURS, private=True), self._intake_stream, self._room_for("")))
            while not self._intake:
                await self._intake_wanted.wait()

    def _lane(self, source: Source, prepare: Prepare, slots: Slots | None = None) -> Lane:
        return Lane(
            source, prepare, sink=self._sink, slots=slots or self._slots, clock=self._clock, counters=self.counters
        )

    def _external_lane(self, source: Source, external: External) -> Lane:
        async def existing(link: Link) -> StreamInfo:
            return await self._existing_stream(link, external)

        return self._lane(source, existing, self._room_for(external.workflow))

    def _trigger_sources(self) -> list[Source]:
        if self._own_server:
            return [Source(TRIGGERS, _OURS, private=True)]
        start = f"ganglion.trigger.{self._tenant}"
        return [
            Source(TRIGGERS, f"{self._tenant}-{self._agent}", (f"{start}.{self._agent}.>",)),
            Source(TRIGGERS, f"{self._tenant}-any", (f"{start}.any.>",)),
        ]

    async def _triggers_stream(self, link: Link) -> StreamInfo:
        return await streams.ensure_triggers(link.nc, self._tenant, self._limits)

    async def _intake_stream(self, link: Link) -> StreamInfo | None:
        return await streams.ensure_intake(link.nc, self._intake, self._limits)

    async def _existing_stream(self, link: Link, external: External) -> StreamInfo:
        info = await stream_info(link.nc, external.stream)
        if info is None:
            raise StreamConflict(
                f"the workflow {external.workflow} takes from the stream {external.stream}, which is not there: "
                "make it, or let the trigger go without `stream`"
            )
        return info


def _source(external: External) -> Source:
    """One durable for a workflow and its subjects, shared by all agents that run it, and never deleted by one."""
    digest = hashlib.sha256(" ".join(external.subjects).encode()).hexdigest()[:8]
    return Source(
        external.stream,
        f"ganglion-{external.workflow}-{digest}",
        external.subjects,
        workflow=external.workflow,
        only_new=True,
    )

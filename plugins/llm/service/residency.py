"""Which local models are in memory: loaded when they are asked for, unloaded when they are not, or make room."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from engine.clock import Clock
from engine.quantities import format_size
from engine.resources.room import Room
from engine.signal import Signal
from engine.uninterrupted import uninterrupted
from plugins.llm.asking import Asker
from plugins.llm.errors import ModelError, Trouble
from plugins.llm.service.checksums import Checksums
from plugins.llm.service.loading import closed, ended, in_time, let_go
from plugins.llm.service.quarantine import Quarantine
from plugins.llm.service.resident import Load, Resident, stuck_text
from plugins.llm.spec import ModelSpec

__all__ = ["Residency", "spare"]

LOOK_SECONDS = 1.0
"""How often it is asked who is idle, and whether memory is short."""
SPARE_BYTES, SPARE_SHARE = 64 * 2**20, 0.02
_log = logging.getLogger("ganglion.models")


def spare(room: Room) -> int:
    """Bytes that are left free for everything else: no model is loaded into them, and idle ones go when less is left.
    2 % of the memory, 64 MiB at least."""
    return max(SPARE_BYTES, int(room.total * SPARE_SHARE))


class Residency:
    """Lends local models. One is loaded at a time: two at once would both count the same free memory."""

    def __init__(
        self, *, checksums: Checksums, quarantine: Quarantine, clock: Clock, room: Callable[[], Room],
        changed: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        """`changed` is told of each load and unload."""
        self._checksums = checksums
        self._quarantine = quarantine
        self._clock = clock
        self._room = room
        self._changed = changed
        self._residents: dict[str, Resident] = {}
        self._loads: dict[str, Load] = {}
        self._moving = asyncio.Lock()
        """Held while memory is taken or given back."""
        self._given_back = Signal()
        self._idle = Signal()
        self._room_read_at: float | None = None
        self._is_closed = False

    def get(self, name: str) -> Resident | None:
        return self._residents.get(name)

    def is_loading(self, name: str) -> bool:
        return name in self._loads

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(sorted(self._residents))

    @asynccontextmanager
    async def lent(self, spec: ModelSpec, asker: Asker) -> AsyncIterator[Resident]:
        """Within the block the model stays in memory. Raises ModelError (missing, damaged, memory, quarantined,
        failed). Several who ask share one load; it goes on if they want no more."""
        resident = self._ready(spec)
        if resident is not None:
            resident.users += 1
        else:
            with asker.waiting(f"model {spec.name}, being loaded"):
                resident = await self._brought(spec, asker)
        try:
            yield resident
        finally:
            self._give_back(resident)

    def _give_back(self, resident: Resident) -> None:
        resident.users -= 1
        resident.used_at = self._clock.monotonic()
        self._given_back.set()
        if not resident.users:
            self._idle.set()

    def _ready(self, spec: ModelSpec) -> Resident | None:
        """It, if it is in memory and may stay there. Raises ModelError (failed: stuck)."""
        resident = self._residents.get(spec.name)
        if resident is None:
            return None
        if resident.is_stuck:
            raise ModelError(Trouble.FAILED, stuck_text(spec.name))
        if resident.spec != spec:
            resident.is_leaving = True  # it was read from another file, or with other settings
        return None if resident.is_leaving else resident

    async def _brought(self, spec: ModelSpec, asker: Asker) -> Resident:
        """Load it, or wait for a load that is under way. The asker counts as a user from the load's end: the next load
        would else take its memory back before it could use it."""
        while True:
            load = self._loads.get(spec.name)
            if load is None or load.task.done():
                load = self._begin(spec)
            load.claims += 1
            try:
                await ended(load.task, spec, asker)
            except (asyncio.CancelledError, ModelError):
                load.claims -= 1
                if load.resident is not None:
                    self._give_back(load.resident)
                raise
            if load.task.cancelled():
                raise ModelError(Trouble.STOPPED, f"model {spec.name}: the agent stops")
            load.task.result()
            if load.resident is not None and load.resident.spec == spec:
                return load.resident
            if load.resident is not None:
                self._give_back(load.resident)

    def _begin(self, spec: ModelSpec) -> Load:
        if self._is_closed:
            raise ModelError(Trouble.STOPPED, f"model {spec.name}: the agent stops")
        load = self._loads[spec.name] = Load()
        load.task = asyncio.create_task(self._load(spec, load), name=f"load of {spec.name}")
        load.task.add_done_callback(lambda task: self._loaded(spec.name, load, task))
        return load

    def _loaded(self, name: str, load: Load, task: "asyncio.Task[None]") -> None:
        if self._loads.get(name) is load:
            del self._loads[name]
        if not task.cancelled() and task.exception() is None:  # seen by those who wait; nobody may be left
            self._given_back.set()  # from now on somebody has to look when it is idle
            self._changed()

    async def _load(self, spec: ModelSpec, load: Load) -> None:
        from plugins.llm.local.provider import memory_needed, opened

        self._quarantine.refuse(spec)
        await self._checksums.check(spec)
        needed = await asyncio.to_thread(memory_needed, spec)
        async with self._moving:
            old = self._residents.get(spec.name)
            if old is not None:
                await self._leave(old)
            await self._make_room(spec, needed)
            self._quarantine.mark(spec)
            try:
                provider = await in_time(opened(spec), spec)
            except BaseException:
                self._quarantine.unmark(spec)
                raise
            self._quarantine.mark(spec)
            resident = self._residents[spec.name] = Resident(spec, provider, needed, self._clock.monotonic())
            resident.users = load.claims
            load.resident = resident
        _log.info("model %s is in memory (%s)", spec.name, format_size(needed))

    async def _make_room(self, spec: ModelSpec, needed: int) -> None:
        """Unload others, those first that nobody has asked for the longest, until it fits. Raises ModelError."""
        if spec.max_ram and needed > spec.max_ram:
            raise ModelError(
                Trouble.MEMORY,
                f"model {spec.name} needs {_mib(needed)}, and may have {_mib(spec.max_ram)}; raise its `max_ram`, "
                f"lower its `context`, or use a smaller model",
            )
        while True:
            room = self._read_room()
            if room is None or needed + spare(room) <= room.free:
                return
            others = [one for one in self._residents.values() if not one.is_stuck]
            if not others or needed + spare(room) > room.free + sum(one.size for one in others):
                raise ModelError(
                    Trouble.MEMORY,
                    f"model {spec.name} needs {_mib(needed)}, and of {_mib(room.free)} of free memory "
                    f"{_mib(spare(room))} are left for everything else; free some memory, lower its `context`, or use "
                    f"a smaller model",
                )
            await self._leave(min(others, key=lambda one: (one.users > 0, one.spec.keep_alive < 0, one.used_at)))

    async def _leave(self, resident: Resident) -> None:
        """Unload it as soon as nobody uses it; `_moving` is held."""
        resident.is_leaving = True
        while resident.users and not resident.is_stuck:
            await self._idle.wait(LOOK_SECONDS)
        await self._unload(resident)

    async def _unload(self, resident: Resident) -> None:
        resident.is_leaving = True
        if resident.is_stuck or self._residents.get(resident.spec.name) is not resident:
            return
        del self._residents[resident.spec.name]
        await uninterrupted(closed(resident))
        self._quarantine.unmark(resident.spec)
        _log.info("model %s is unloaded", resident.spec.name)
        self._changed()

    async def look(self, wanted: Callable[[str], bool]) -> None:
        """Unload who is idle for too long, and, where memory is short, who is idle the longest. `wanted` tells of a
        model whether somebody waits for it."""
        now = self._clock.monotonic()
        idle = [one for one in self._residents.values() if not (one.users or one.is_stuck or wanted(one.spec.name))]
        leaving = [one for one in idle if 0 <= one.spec.keep_alive <= now - one.used_at]
        is_due = self._room_read_at is None or now - self._room_read_at >= LOOK_SECONDS
        if idle and not leaving and is_due:
            self._room_read_at = now
            room = self._read_room()
            if room is not None and room.free < spare(room):
                leaving = [min(idle, key=lambda one: (one.spec.keep_alive < 0, one.used_at))]
                _log.warning("memory is short: %s are free", _mib(room.free))
        for resident in leaving:
            async with self._moving:
                if not resident.users:
                    await self._unload(resident)

    async def run(self, wanted: Callable[[str], bool]) -> None:
        """Look, every second and whenever a model is given back, until cancelled. While none is in memory, nothing is
        looked at."""
        while True:
            await self.look(wanted)
            await self._given_back.wait(LOOK_SECONDS if self._residents else None)

    async def aclose(self) -> None:
        """Unload everything. What is stuck in native code stays as it is."""
        self._is_closed = True
        loads = {load.task for load in self._loads.values()}
        for task in loads:
            task.cancel()
        for task in loads:
            await let_go(task)
        for resident in list(self._residents.values()):
            await self._unload(resident)

    def _read_room(self) -> Room | None:
        """None where the system tells nothing: then nothing is bounded by it."""
        with suppress(OSError):
            return self._room()
        return None


def _mib(size: int) -> str:
    return f"{size / 2**20:,.0f} MiB"

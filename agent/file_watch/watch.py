"""The service: looks at the directories that workflows watch, takes the files that have come to rest, and then keeps,
deletes or moves them as their triggers say."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from agent.file_watch.entry import Entry, Ready
from agent.file_watch.hints import Hints
from agent.file_watch.moving import Moved, perform
from agent.file_watch.places import NotAllowed, Places
from engine.clock import Clock
from engine.control import Refused
from engine.definition.model import FileTrigger
from engine.signal import Signal
from engine.store.files import FileRow
from engine.triggers.files import Files
from engine.triggers.found import FileIdentity, Found
from engine.triggers.routes import Routes

__all__ = ["FileWatch"]

LOOK_SECONDS, LOOK_OFTEN_SECONDS = 30.0, 2.0
"""How often a directory is looked at: with notifications, and without them or while it is not there."""
ARM_SECONDS = 1.0
"""After which notifications of a directory surely come: it is looked at once more then."""
BATCH, BATCH_BYTES = 32, 8 * 2**20
"""Files that are taken in one commit, and how much they hold together."""

_log = logging.getLogger("ganglion.agent")


class FileWatch:
    """`follow` the routes at boot and after each deploy and undeploy, and `run`."""

    def __init__(
        self, files: Files, places: Places, clock: Clock, *, sleep: Callable[[float], Awaitable[object]] | None = None
    ) -> None:
        """`sleep` lets tests pass virtual time; then there are no notifications."""
        self._files = files
        self._places = places
        self._clock = clock
        self._signal = Signal()
        self._sleep = sleep or self._signal.wait
        self._hints = None if sleep else Hints(self._hinted)
        self._routes: Routes | None = None
        self._entries: list[Entry] = []
        self._refused: set[tuple[str, str]] = set()
        self._warned: set[str] = set()

    async def capture(self, routes: Routes) -> None:
        """Raise Refused for a trigger on a directory that is not allowed here, unless it was deployed before."""
        for active in routes.active.values():
            for trigger in active.workflow.triggers:
                if isinstance(trigger, FileTrigger) and (active.name, trigger.path) not in self._refused:
                    try:
                        self._places.watched(trigger)
                        self._places.target(trigger)
                    except NotAllowed as error:
                        raise Refused(422, f"{active.name}: {error}") from None

    async def follow(self, routes: Routes) -> None:
        """Watch what the active workflows ask for."""
        if self._routes is None:
            await self._files.load()
        entries: list[Entry] = []
        self._refused.clear()
        for active in routes.active.values():
            for trigger in active.workflow.triggers:
                if isinstance(trigger, FileTrigger):
                    try:
                        entries.append(Entry(active, trigger, self._places))
                    except NotAllowed as error:
                        self._refused.add((active.name, trigger.path))
                        self._warn(f"{active.name} {trigger.path}", f"{active.name}: {error}")
        known = {entry.key: entry for entry in self._entries}
        for entry in entries:
            if entry.key in known:
                entry.go_on_from(known[entry.key])
        for entry in entries:
            if entry.place.root == self._places.files_dir and self._places.make:
                await asyncio.to_thread(entry.make)
        self._routes, self._entries = routes, entries
        for workflow in self._files.workflows():
            mine = [entry for entry in entries if entry.active.name == workflow]
            left = [path for path in self._files.paths_of(workflow) if not any(entry.fits(path) for entry in mine)]
            await self._files.see(workflow, absent=left)
        self._signal.set()

    async def run(self) -> None:
        """Take files in, until cancelled. Raises StoreBroken; a full disk is waited out."""
        async with asyncio.TaskGroup() as tasks:
            if self._hints is not None:
                tasks.create_task(self._hints.run(), name="file notifications")
            while True:
                now = self._clock.monotonic()
                for entry in self._entries:
                    if entry.next_look <= now:
                        await self._look(entry)
                for row in self._files.pending():
                    await self._act(row)
                self._arm()
                soonest = min((entry.next_look for entry in self._entries), default=now + LOOK_SECONDS)
                await self._sleep(max(0.01, soonest - self._clock.monotonic()))

    # --- looking

    def _hinted(self, path: Path) -> None:
        for entry in self._entries:
            if entry.hint(path):
                self._signal.set()

    def _arm(self) -> None:
        if self._hints is not None:
            there = [entry for entry in self._entries if not entry.missing]
            wanted: dict[Path, bool] = {}
            for entry in there:
                wanted[entry.place.path] = wanted.get(entry.place.path, False) or entry.pattern.deep
            changed = self._hints.arm(wanted, again=any(entry.made_anew for entry in there))
            for entry in there:
                entry.made_anew = False
                if changed:
                    entry.next_look = min(entry.next_look, self._clock.monotonic() + ARM_SECONDS)

    async def _look(self, entry: Entry) -> None:
        topic = f"{entry.active.name} {entry.place.path}"
        entry.begin(self._clock.monotonic())
        try:
            found = await asyncio.to_thread(entry.find)
        except OSError as error:
            entry.missing = True
            entry.end(self._clock.monotonic(), LOOK_OFTEN_SECONDS)
            self._warn(topic, f"{entry.active.name}: {entry.place.path}: {error.strerror}; it is waited for")
            return
        self._warned.discard(topic)
        entry.missing = False
        ready = entry.settled(found, self._clock.monotonic(), self._files)
        await self._files.see(entry.active.name, present=entry.present, absent=entry.absent(self._files))
        await self._take(entry, ready)
        blind = self._hints is None or self._hints.blind
        entry.end(self._clock.monotonic(), LOOK_OFTEN_SECONDS if blind else LOOK_SECONDS)

    # --- taking

    async def _take(self, entry: Entry, ready: list[Ready]) -> None:
        while ready and self._is_followed(entry):
            await self._files.admission.wait_for_slots()
            most = 1 if entry.moves_first else min(BATCH, max(1, self._files.admission.free_slots()))
            batch: list[Ready] = []
            size = 0
            while ready and len(batch) < most and (not batch or size + ready[0].identity.size <= BATCH_BYTES):
                size += ready[0].identity.size
                batch.append(ready.pop(0))
            found: list[Found] = []
            for one in batch:
                read = await asyncio.to_thread(entry.read, one)
                if read is None:
                    entry.unsettle(one.path, self._clock.monotonic())
                    continue
                found.append(read)
            if found:
                await self._files.take(found)
                for taken in found:
                    entry.forget(taken.path)
            if entry.moves_first:
                for row in self._files.pending():
                    await self._act(row)

    def _is_followed(self, entry: Entry) -> bool:
        return entry in self._entries

    # --- what becomes of them

    async def _act(self, row: FileRow) -> None:
        """Delete or move one, unless another workflow has still to take it."""
        identity = FileIdentity.parse(row.identity)
        if any(entry.wants(row.path, identity, self._files) for entry in self._entries):
            return
        active = self._routes.active.get(row.workflow) if self._routes and row.after == "take" else None
        if row.after == "take" and active is None:
            return
        try:
            moved = await asyncio.to_thread(perform, row, identity, self._places)
        except OSError as error:
            what = "deleted" if row.after == "delete" else f"moved to {row.target}"
            self._warn(row.path, f"{row.path} can't be {what}: {error.strerror or error}")
            return
        if moved is Moved.HERE:
            self._warn(row.path, f"{row.path} can't be moved: another file is {row.target}")
            return
        if row.after == "take" and moved is Moved.GONE:
            _log.warning("%s: %s was removed before it could be moved; it starts nothing", row.workflow, row.path)
            active = None
        self._warned.discard(row.path)
        await self._files.acted(row, active)

    def _warn(self, topic: str, text: str) -> None:
        """Once, until it is well again."""
        if topic not in self._warned:
            self._warned.add(topic)
            _log.warning("%s", text)

"""Where to look soon: the system's notifications, as hints. Where it has none to give, looking often has to do."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from errno import ENOSPC
from pathlib import Path

from agent.file_watch.inotify import Inotify
from engine.signal import Signal
from engine.uninterrupted import uninterrupted

__all__ = ["Hints"]

GATHER_SECONDS = 0.2
"""A file that is being written makes a notification for each piece: they are taken together."""
_log = logging.getLogger("ganglion.agent")


class Hints:
    """The notifications of some directories. `run` is its service; `arm` says which directories."""

    def __init__(self, told: Callable[[Path], None]) -> None:
        """`told` is called on the event loop with each path that may have changed."""
        self.blind = False
        """No notifications can be had: look often."""
        self._told = told
        self._wanted: Mapping[Path, bool] = {}
        self._stirred = Signal()
        """Other directories are wanted, or something has changed in them."""

    def arm(self, directories: Mapping[Path, bool], *, again: bool = False) -> bool:
        """Watch these directories, which exist; True: and all that is below. `again`: some were made anew. Whether
        that is a change: what happens until it has taken effect is not told."""
        if not again and dict(directories) == dict(self._wanted):
            return False
        self._wanted = dict(directories)
        self._stirred.set()
        return True

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            wanted = self._wanted
            if wanted:
                await self._listen(wanted)
            while self._wanted is wanted:
                await self._stirred.wait()

    async def _listen(self, directories: Mapping[Path, bool]) -> None:
        """Until others are wanted, or the system has no notifications to give."""
        try:
            with Inotify() as notes:
                await uninterrupted(asyncio.to_thread(notes.watch, directories))
                self.blind = False
                while self._wanted is directories:
                    await self._readable(notes.descriptor)
                    changed, new = notes.changes()
                    if new:  # they are told after they are watched: what came into them before is found by that
                        await uninterrupted(asyncio.to_thread(notes.follow, new))
                    for path in changed:
                        self._told(path)
                    await asyncio.sleep(GATHER_SECONDS)
        except OSError as error:
            # The limit of inotify watches is reached, the file system has no notifications, a directory has just gone.
            if not self.blind:
                why = "fs.inotify.max_user_watches is reached" if error.errno == ENOSPC else error
                _log.warning("no notifications of files (%s): their directories are looked at often instead", why)
            self.blind = True
            for directory in directories:  # what was just notified of is found by looking
                self._told(directory)

    async def _readable(self, descriptor: int) -> None:
        """Until there is something to read, or others are wanted."""
        loop = asyncio.get_running_loop()
        loop.add_reader(descriptor, self._stirred.set)
        try:
            await self._stirred.wait()
        finally:
            loop.remove_reader(descriptor)

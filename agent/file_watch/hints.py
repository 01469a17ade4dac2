"""Where to look soon: the system's notifications, as hints. Where it has none to give, looking often has to do."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from pathlib import Path

from engine.signal import Signal

__all__ = ["Hints"]

DEBOUNCE_MS, STEP_MS = 200, 50
_log = logging.getLogger("ganglion.agent")


class Hints:
    """The notifications of some directories. `run` is its service; `arm` says which directories."""

    def __init__(self, told: Callable[[Path], None]) -> None:
        """`told` is called on the event loop with each path that may have changed."""
        self.blind = False
        """No notifications can be had: look often."""
        self._told = told
        self._wanted: Mapping[Path, bool] = {}
        self._changed = Signal()
        self._stop = asyncio.Event()

    def arm(self, directories: Mapping[Path, bool], *, again: bool = False) -> bool:
        """Watch these directories, which exist; True: and all that is below. `again`: some were made anew. Whether
        that is a change: what happens until it has taken effect is not told."""
        if not again and dict(directories) == dict(self._wanted):
            return False
        self._wanted = dict(directories)
        self._stop.set()
        self._changed.set()
        return True

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._changed.wait()
            self._stop = asyncio.Event()
            if self._wanted:
                await self._listen(self._wanted, self._stop)

    async def _listen(self, directories: Mapping[Path, bool], stop: asyncio.Event) -> None:
        from watchfiles import awatch  # when first needed: most agents watch nothing

        try:
            changes = awatch(
                *directories, watch_filter=None, debounce=DEBOUNCE_MS, step=STEP_MS, stop_event=stop,
                recursive=any(directories.values()), ignore_permission_denied=True,
            )  # fmt: skip
            self.blind = False
            async for found in changes:
                for _, path in found:
                    self._told(Path(path))
        except (OSError, RuntimeError) as error:
            # The limit of inotify watches is reached, the file system has no notifications, a directory has just gone.
            if not self.blind:
                _log.warning("no notifications of files (%s): their directories are looked at often instead", error)
            self.blind = True

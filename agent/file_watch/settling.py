"""Has a file come to rest? Its identity must have stayed the same for a while, as we ourselves have seen it.

The file's own time is no measure: clocks differ, copies keep old times, and a slow writer may pause.
"""

from collections.abc import Collection, Hashable

from engine.triggers.found import FileIdentity

__all__ = ["Settling"]


class Settling:
    """What was seen of the files of one trigger. Times are monotonic seconds."""

    def __init__(self, settle: float) -> None:
        self._settle = settle
        self._seen: dict[Hashable, tuple[FileIdentity, float]] = {}

    def look(self, file: Hashable, identity: FileIdentity, now: float) -> bool:
        """The file looks like this now; True if it has for long enough."""
        before = self._seen.get(file)
        if before is None or before[0] != identity:
            self._seen[file] = before = (identity, now)
        return now - before[1] >= self._settle

    def unsettle(self, file: Hashable, now: float) -> None:
        """It was found to be in use after all: wait once more."""
        if file in self._seen:
            self._seen[file] = (self._seen[file][0], now)

    def forget(self, file: Hashable) -> None:
        """It was taken."""
        self._seen.pop(file, None)

    def keep(self, files: Collection[Hashable]) -> None:
        """All others are gone."""
        for file in self._seen.keys() - set(files):
            del self._seen[file]

    def next_due(self) -> float | None:
        """When the first file will have come to rest, if nothing happens to it."""
        if not self._seen:
            return None
        return min(since for _, since in self._seen.values()) + self._settle

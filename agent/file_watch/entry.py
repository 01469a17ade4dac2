"""One file trigger of an active workflow: what it has seen, which files are ready for it, and when to look again."""

import errno
import math
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import msgspec

from agent.file_watch.folder import Changed, TooLarge, find_files, opened_folder, read_file
from agent.file_watch.moving import free_name
from agent.file_watch.places import Places
from agent.file_watch.settling import Settling
from engine.definition.model import FileFormat, FileTrigger
from engine.triggers.files import Files
from engine.triggers.found import FileIdentity, Found
from engine.triggers.routes import Active

__all__ = ["Entry", "Ready"]

PAUSE_SECONDS = 0.25
"""Between two looks at least, however many notifications come."""
REST, MAX_REST_SECONDS = 9, 5.0
"""And so many times as long as the look took, up to a limit: 10,000 files take a quarter of a second, of one core."""
_OURS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EINTR, errno.ENOENT, errno.ESTALE})
"""Errors that say nothing about the file itself: it is tried again."""


class Ready(msgspec.Struct, frozen=True):
    """A file at rest that was not taken yet."""

    steps: tuple[str, ...]
    path: str
    identity: FileIdentity


class Entry:
    """Times are monotonic seconds."""

    def __init__(self, active: Active, trigger: FileTrigger, places: Places) -> None:
        """Raises NotAllowed."""
        self.active = active
        self.trigger = trigger
        self.place, self.pattern = places.watched(trigger)
        self.target = places.target(trigger)
        self.next_look = 0.0
        self.missing = False
        self.made_anew = False
        """The directory is another one than at the look before: notifications of the old one tell nothing."""
        self.present: dict[str, FileIdentity] = {}
        """What the last look found, by absolute path."""
        self._settling = Settling(trigger.settle)
        self._begun = -math.inf
        self._hinted = False
        self._pause = PAUSE_SECONDS
        self._inode = 0

    @property
    def key(self) -> tuple[str, FileTrigger]:
        return self.active.name, self.trigger

    @property
    def moves_first(self) -> bool:
        """Files are moved before their execution starts."""
        return self.target is not None and self.trigger.format is FileFormat.PATH

    def go_on_from(self, before: "Entry") -> None:
        """The same trigger in an older version of the workflow has seen this much."""
        self._settling, self._begun, self.next_look = before._settling, before._begun, before.next_look

    def make(self) -> None:
        """Make the directory, so that people find where their files go. What can't be made is waited for."""
        with suppress(OSError):
            self.place.root.mkdir(parents=True, exist_ok=True)
            with opened_folder(self.place, make=True):
                pass

    # --- when

    def hint(self, path: Path) -> bool:
        """Something may have changed there; True if that is a reason to look."""
        if not path.is_relative_to(self.place.path):
            return False
        self._hinted = True
        self.next_look = min(self.next_look, self._begun + self._pause)
        return True

    def begin(self, now: float) -> None:
        """A look begins."""
        self._begun, self._hinted = now, False

    def end(self, now: float, every: float) -> None:
        """It has ended; the next one comes after `every` seconds, or when a file will have come to rest."""
        self._pause = min(max(PAUSE_SECONDS, REST * (now - self._begun)), MAX_REST_SECONDS)
        self.next_look = min(now + every, max(now, self._settling.next_due() or math.inf))
        if self._hinted:
            self.next_look = min(self.next_look, self._begun + self._pause)

    # --- what

    def find(self) -> list[tuple[tuple[str, ...], FileIdentity]]:
        """All files that fit, on the calling thread. Raises OSError if the directory is not there."""
        inode = os.stat(self.place.path).st_ino  # noqa: PTH116 - a Path would be made for each look
        self.made_anew = self.made_anew or inode != self._inode
        self._inode = inode
        return find_files(self.place, self.pattern)

    def settled(
        self, found: Iterable[tuple[tuple[str, ...], FileIdentity]], now: float, files: Files
    ) -> list[Ready]:  # fmt: skip
        """Take note of what was found; the files that are ready, the oldest first."""
        base = str(self.place.path)
        ready: list[Ready] = []
        self.present = {}
        for steps, identity in found:
            path = _text("/".join((base, *steps)))
            if self._is_target(path):
                continue
            self.present[path] = identity
            if files.is_taken(self.active.name, path, identity):
                self._settling.forget(path)
            elif self._settling.look(path, identity, now):
                ready.append(Ready(steps, path, identity))
        self._settling.keep(self.present)
        return sorted(ready, key=lambda one: (one.identity.mtime_ns, one.path))

    def absent(self, files: Files) -> list[str]:
        """Paths that were taken, and that the last look should have found and did not."""
        return [path for path in files.paths_of(self.active.name) if path not in self.present and self.fits(path)]

    def fits(self, path: str) -> bool:
        """Whether this trigger asks for a file there."""
        place = Path(path)
        if not place.is_relative_to(self.place.path) or self._is_target(path):
            return False
        return self.pattern.fits(place.relative_to(self.place.path).parts)

    def wants(self, path: str, identity: FileIdentity, files: Files) -> bool:
        """Whether a file that lies there is still to be taken by this workflow."""
        return self.fits(path) and not files.is_taken(self.active.name, path, identity)

    def read(self, ready: Ready) -> Found | None:
        """The file for the engine, on the calling thread; None if it is in use, changed, or gone."""
        limit = None if self.trigger.format is FileFormat.PATH else self.trigger.max_bytes
        body, problem, target = b"", "", ""
        try:
            body = read_file(self.place, ready.steps, ready.identity, limit)
            if not _is_text(ready.steps[-1]):
                problem = "its name is not UTF-8 text; rename it"
            elif self.target is not None:
                target = str((free_name(self.target, ready.steps[-1]) if self.moves_first else self.target).path)
        except Changed:
            return None
        except TooLarge:
            problem = f"{ready.identity.size} bytes are more than max_bytes, {limit}"
        except OSError as error:
            if error.errno in _OURS:
                return None
            problem = f"it can't be read: {error.strerror}"
        return Found(
            active=self.active, trigger=self.trigger, path=ready.path, identity=ready.identity, body=body,
            problem=problem, target=target,
        )  # fmt: skip

    def unsettle(self, path: str, now: float) -> None:
        """It was in use after all."""
        self._settling.unsettle(path, now)

    def forget(self, path: str) -> None:
        """It was taken."""
        self._settling.forget(path)

    def _is_target(self, path: str) -> bool:
        """What was moved away by this trigger is not its business any more."""
        return self.target is not None and Path(path).is_relative_to(self.target.path)


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _text(path: str) -> str:
    """A path that can be stored: bytes that are no UTF-8 are written out."""
    return path.encode(errors="surrogateescape").decode(errors="backslashreplace")

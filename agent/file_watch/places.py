"""Which directories a workflow may ask for: a workflow that comes over the network must not read arbitrary files."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from engine.definition.model import FileTrigger, MoveTo
from engine.file_patterns import FilePattern, parse_pattern

__all__ = ["NotAllowed", "Place", "Places"]


class NotAllowed(ValueError):
    """A directory that this agent does not watch; the text says what to do."""


class Place(msgspec.Struct, frozen=True):
    """A directory, as an allowed one and the steps below it: the operator names the first, a workflow the others."""

    root: Path
    steps: tuple[str, ...]

    @property
    def path(self) -> Path:
        return self.root.joinpath(*self.steps)

    def joined(self, *steps: str) -> "Place":
        return Place(self.root, (*self.steps, *steps))


class Places:
    """Where files may be: below `files_dir`, and below each of `roots`. All are absolute."""

    def __init__(self, files_dir: Path, roots: Sequence[Path] = (), *, make: bool = False) -> None:
        self.files_dir = files_dir
        self.make = make
        """Directories in `files_dir` are made for those who ask for them: it is our own, not one that may be mounted
        later."""
        self._roots = (*roots, files_dir)

    def watched(self, trigger: FileTrigger) -> tuple[Place, FilePattern]:
        """What a trigger asks for: the directory, and the pattern below it. Raises NotAllowed."""
        pattern = parse_pattern(trigger.path)
        return self._place(pattern.base, pattern.absolute, trigger.path), pattern

    def target(self, trigger: FileTrigger) -> Place | None:
        """Where files go that were taken in; None if they stay or are deleted. Raises NotAllowed."""
        if not isinstance(trigger.then, MoveTo):
            return None
        steps = tuple(trigger.then.move.strip("/").split("/"))
        if trigger.then.move.startswith("/"):
            return self._place(steps, True, trigger.then.move)
        return self.watched(trigger)[0].joined(*steps)

    def place_of(self, path: Path) -> Place | None:
        """The place of an absolute path without `..`; None if it is not allowed (any more)."""
        for root in self._roots:
            if path.is_relative_to(root):
                return Place(root, path.relative_to(root).parts)
        return None

    def _place(self, steps: tuple[str, ...], absolute: bool, written: str) -> Place:
        if not absolute:
            return Place(self.files_dir, steps)
        place = self.place_of(Path("/", *steps))
        if place is not None:
            return place
        allowed = ", ".join(map(str, self._roots))
        raise NotAllowed(
            f"{written} is not under a directory that this agent watches ({allowed}): add one to `watch` under "
            "[engine], or write a path relative to files_dir"
        )

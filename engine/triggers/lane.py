"""The patterns of one way in, as a tree of tokens: finding costs the subject's depth, however many there are."""

from typing import Generic, TypeVar

__all__ = ["Lane"]

T = TypeVar("T")
REMEMBERED = 4096
"""Subjects whose matches are kept: devices speak on the same subjects again and again."""


class _Branch(Generic[T]):
    """One token deep in the tree of patterns."""

    __slots__ = ("ends", "next", "tails")

    def __init__(self) -> None:
        self.next: dict[str, _Branch[T]] = {}
        self.ends: list[tuple[int, str, T]] = []
        self.tails: list[tuple[int, str, T]] = []
        """Patterns that end here with `>`."""


class Lane(Generic[T]):
    """What wants the messages of one way in, by pattern. Of several patterns of one name the first one counts."""

    def __init__(self) -> None:
        self.items: list[T] = []
        self.patterns: set[str] = set()
        self._root: _Branch[T] = _Branch()
        self._known: dict[str, tuple[T, ...]] = {}

    def add(self, pattern: str, name: str, item: T) -> None:
        """Those of one name come in the order of their file."""
        entry = (len(self.items), name, item)
        self.items.append(item)
        self.patterns.add(pattern)
        branch = self._root
        *path, last = pattern.split(".")
        for step in path:
            branch = branch.next.setdefault(step, _Branch())
        if last == ">":
            branch.tails.append(entry)
        else:
            branch.next.setdefault(last, _Branch()).ends.append(entry)

    def find(self, subject: str) -> tuple[T, ...]:
        """What wants a message on this subject, each name once."""
        if not self.items:
            return ()
        known = self._known.get(subject)
        if known is None:
            known = self._search(subject)
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[subject] = known
        return known

    def _search(self, subject: str) -> tuple[T, ...]:
        hits: list[tuple[int, str, T]] = []
        level = [self._root]
        for token in subject.split("."):
            for branch in level:
                hits.extend(branch.tails)
            level = [branch.next[step] for branch in level for step in {token, "*"} if step in branch.next]
            if not level:
                break
        for branch in level:
            hits.extend(branch.ends)
        first: dict[str, T] = {}
        for _, name, item in sorted(hits, key=lambda hit: hit[0]):
            first.setdefault(name, item)
        return tuple(first.values())

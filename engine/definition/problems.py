"""What is wrong with a workflow file, said so that a person can mend it: file, line, path, message, remedy."""

import difflib
from collections.abc import Iterable
from itertools import chain
from typing import TypeAlias

import msgspec

from engine.values import Json, encode_json

__all__ = ["InvalidWorkflow", "Path", "Problem", "Problems", "dotted", "shown", "suggestion"]

MAX_COMPARED = 1000
"""Names that are compared with an unknown one."""

Path: TypeAlias = tuple[str | int, ...]
"""Keys and indexes from the root of a file."""

MAX_PROBLEMS = 100
"""More than this helps nobody; the last one says how many were left out."""


class Problem(msgspec.Struct, frozen=True):
    """One thing to mend. `line` counts from 1 and is None where it is not known (stored definitions)."""

    file: str
    line: int | None
    path: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        text = f"{place}: {self.path}: {self.message}" if self.path else f"{place}: {self.message}"
        return f"{text} ({self.hint})" if self.hint else text


class InvalidWorkflow(ValueError):
    """A workflow, or the values of its parameters, with everything that is wrong with it."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


class Problems:
    """Collects what is wrong while a file is read, so that a person sees all of it at once."""

    def __init__(self, file: str, lines: dict[Path, int] | None = None) -> None:
        self.file = file
        self._lines = lines or {}
        self._found: dict[tuple[str, str], Problem] = {}
        self._left_out = 0

    def __bool__(self) -> bool:
        return bool(self._found)

    def __len__(self) -> int:
        return len(self._found) + self._left_out

    def add(self, path: Path, message: str, hint: str = "") -> None:
        """Remember a problem at a path; the same one is kept once."""
        problem = Problem(self.file, self.line(path), dotted(path), message, hint)
        if len(self._found) < MAX_PROBLEMS:
            self._found.setdefault((problem.path, message), problem)
        else:
            self._left_out += 1

    def suggest(self, name: str, *known: Iterable[str], otherwise: str = "") -> str:
        """The remedy for an unknown name (see `suggestion`); none where nobody will see it, for it takes a while."""
        return "" if len(self._found) >= MAX_PROBLEMS else suggestion(name, chain(*known), otherwise=otherwise)

    def line(self, path: Path) -> int | None:
        """The line of a path, or of the nearest thing around it whose line is known."""
        for end in range(len(path), -1, -1):
            line = self._lines.get(path[:end])
            if line is not None:
                return line
        return None

    def raise_any(self) -> None:
        """Raise InvalidWorkflow with what was found, in the order of the file; return if nothing was."""
        if not self._found:
            return
        found = sorted(self._found.values(), key=lambda problem: problem.line or 0)
        if self._left_out:
            found.append(Problem(self.file, None, "", f"and {self._left_out} more problems"))
        raise InvalidWorkflow(found)


def dotted(path: Path) -> str:
    """A path as people write it: nodes.alert.needs[1]."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            name = step if len(step) <= 64 and step.isprintable() else f"{step[:60]!r}…"
            text += f".{name}" if text else name
    return text


def suggestion(name: str, known: Iterable[str], *, otherwise: str = "") -> str:
    """The remedy for an unknown name: the nearest known one, or what there is instead."""
    names = sorted(known)
    if len(names) > MAX_COMPARED:
        names = [other for other in names if other[:1] == name[:1]][:MAX_COMPARED]
    near = difflib.get_close_matches(name[:64], names, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]}?"
    if otherwise or not names:
        return otherwise
    listed = ", ".join(names[:12])
    return f"known: {listed}{' …' if len(names) > 12 else ''}"


def shown(value: Json) -> str:
    """A value inside a message: its JSON, short."""
    if value is None:
        return "null"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list | tuple):
        return "a list"
    try:
        text = encode_json(value if not isinstance(value, str) else value[:80]).decode()
    except (ValueError, TypeError, OverflowError):
        text = repr(value)
    return text if len(text) <= 48 else f"{text[:44]}…"

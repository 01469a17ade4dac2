"""What an expression says when it refuses: the message, the place in the source, what to do next."""

import difflib
from collections.abc import Iterable

_WIDTH = 100


class Refusal(Exception):
    """An operator or a filter refuses its values; the compiler adds the place and raises ExpressionError."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class ExpressionError(ValueError):
    """A source that is not an expression, or one that cannot be evaluated with these values.

    `offset` counts characters from the start of `source`; `hint` is a remedy or empty; `path` says where in a tree of
    texts (`compile_tree`) the source stands.
    """

    def __init__(
        self, message: str, source: str, offset: int, hint: str = "", path: tuple[str | int, ...] = ()
    ) -> None:
        super().__init__(message)
        self.message = message
        self.source = source
        self.offset = offset
        self.hint = hint
        self.path = path

    @property
    def line(self) -> int:
        """The line of the place within the source, from 1."""
        return self.source.count("\n", 0, self.offset) + 1

    @property
    def column(self) -> int:
        """The column of the place within its line, from 1."""
        return self.offset - (self.source.rfind("\n", 0, self.offset) + 1) + 1

    def __str__(self) -> str:
        lines = [self.message, *self._picture()]
        if self.hint:
            lines.append(f"  {self.hint}")
        return "\n".join(lines)

    def _picture(self) -> list[str]:
        start = self.source.rfind("\n", 0, self.offset) + 1
        end = self.source.find("\n", start)
        line = self.source[start : end if end >= 0 else len(self.source)]
        column = self.offset - start
        if len(line) > _WIDTH:
            first = max(0, min(column - _WIDTH // 2, len(line) - _WIDTH))
            last = first + _WIDTH
            before, after = "…" if first else "", "…" if last < len(line) else ""
            line, column = before + line[first:last] + after, column - first + len(before)
        shown = "".join(character if character.isprintable() else " " for character in line)
        return [f"  {shown}", f"  {' ' * column}^"]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint that names the nearest known name, or nothing if none is near."""
    names = [candidate for candidate in known if len(candidate) <= 64][:500]
    close = difflib.get_close_matches(name[:64], names, n=1, cutoff=0.6)
    return f"did you mean {close[0]}?" if close else ""


def one_of(names: Iterable[str], limit: int = 8) -> str:
    """A short list of what there is instead, for hints: `there are a, b, c …`."""
    known = list(names)
    if not known:
        return ""
    return "there is " + ", ".join(name[:40] for name in known[:limit]) + (" …" if len(known) > limit else "")

"""Which files a workflow asks for: `inbox/*.csv`, `/srv/in/**/*.json`, as a pure function of names.

`*` and `?` stand for characters of one name, `**` for any directories, also none. As in a shell, a wildcard matches no
leading dot: what is written under a hidden name and renamed is seen only then.
"""

import msgspec

__all__ = ["FilePattern", "check_directory", "name_fits", "parse_pattern"]

MAX_LENGTH = 1024
ANY = "**"


class FilePattern(msgspec.Struct, frozen=True):
    """A checked pattern."""

    text: str
    absolute: bool
    base: tuple[str, ...]
    """The directories before the first wildcard: what is watched."""
    rest: tuple[str, ...]
    """What follows, at least one name."""

    @property
    def deep(self) -> bool:
        """Files may lie in directories below the base."""
        return len(self.rest) > 1

    def fits(self, steps: tuple[str, ...]) -> bool:
        """Whether a file fits, by its steps below the base."""
        return _fits(self.rest, steps)


def parse_pattern(text: str) -> FilePattern:
    """Raises ValueError, with a cause for a person, for what is no pattern or could lead out of its directory."""
    steps = _steps(text)
    if not steps or text.endswith("/"):
        raise ValueError("a pattern of files was expected, such as inbox/*.csv")
    if any(ANY in step and step != ANY for step in steps):
        raise ValueError("** stands alone between two slashes, such as inbox/**/*.csv")
    if steps[-1] == ANY:
        raise ValueError("** stands for directories: end with the names of files, such as **/*.csv")
    fixed = next((place for place, step in enumerate(steps) if "*" in step or "?" in step), len(steps) - 1)
    return FilePattern(text, text.startswith("/"), steps[:fixed], steps[fixed:])


def check_directory(text: str) -> None:
    """Raise ValueError unless this names a directory that can't lead out of the one it is in."""
    if not _steps(text) or "*" in text or "?" in text:
        raise ValueError("a directory was expected, such as done")


def name_fits(pattern: str, name: str) -> bool:
    """Whether one name fits one step of a pattern, in time proportional to both lengths' product."""
    if name.startswith(".") and not pattern.startswith("."):
        return False
    here = at = 0
    star = mark = -1
    while at < len(name):
        if here < len(pattern) and pattern[here] == "*":
            star, mark = here, at
            here += 1
        elif here < len(pattern) and pattern[here] in ("?", name[at]):
            here, at = here + 1, at + 1
        elif star >= 0:
            mark += 1
            here, at = star + 1, mark
        else:
            return False
    return pattern[here:].strip("*") == ""


def _fits(pattern: tuple[str, ...], steps: tuple[str, ...]) -> bool:
    """By dynamic programming over the pattern's steps: `reached` holds how many names may be used up so far."""
    reached = {0}
    for step in pattern:
        if step == ANY:
            longest = next((at for at in range(min(reached), len(steps)) if steps[at].startswith(".")), len(steps))
            reached = {at for start in reached for at in range(start, max(start, longest) + 1)}
        else:
            reached = {at + 1 for at in reached if at < len(steps) and name_fits(step, steps[at])}
        if not reached:
            return False
    return len(steps) in reached


def _steps(text: str) -> tuple[str, ...]:
    if len(text) > MAX_LENGTH:
        raise ValueError(f"a path has at most {MAX_LENGTH} characters")
    if not text.isprintable() or "\\" in text:
        raise ValueError("a path is written with / and without control characters")
    if text.startswith("~"):
        raise ValueError("~ is not read: write the path out")
    steps = tuple(text.strip("/").split("/")) if text.strip("/") else ()
    if ".." in steps:
        raise ValueError("a path must not lead upwards with ..")
    if "." in steps or "" in steps:
        raise ValueError("a path has no empty steps and no . in it")
    return steps

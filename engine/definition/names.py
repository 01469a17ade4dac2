"""Names of nodes and parameters: words that expressions can use without ambiguity."""

import re

from engine.definition.form import NAME, RESERVED
from engine.definition.problems import Path, Problems

__all__ = ["check_name"]

_NAME = re.compile(NAME)


def check_name(name: str, path: Path, problems: Problems, *, kind: str) -> None:
    """A problem where a name is not `[a-z][a-z0-9_]*`, or is one that expressions use for something else."""
    if not _NAME.fullmatch(name):
        fit = re.sub(r"[^a-z0-9]+", "_", name[:64].lower()).strip("_")
        hint = f"call it {fit}" if _NAME.fullmatch(fit) else "call it something like read_sensor"
        problems.add(path, f"the name of a {kind} is lower-case letters, digits and _, and begins with a letter", hint)
    elif name in RESERVED:
        problems.add(path, f"{name} means something else in expressions", f"call the {kind} {name}_1, or better")

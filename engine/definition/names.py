"""Names: those of nodes and parameters are words that expressions can use without ambiguity."""

import re

from engine.definition.form import LOCAL, NAME, RESERVED, WORKFLOW_NAME
from engine.definition.problems import Path, Problems, shown
from engine.expressions import ExpressionError, Reference, compile_expression

__all__ = ["check_as", "check_name", "check_workflow_name"]

_NAME = re.compile(NAME)
_WORKFLOW_NAME = re.compile(WORKFLOW_NAME)


def check_name(name: str, path: Path, problems: Problems, *, kind: str) -> None:
    """A problem where a name is not `[a-z][a-z0-9_]*`, or is one that expressions use for something else."""
    if not _NAME.fullmatch(name):
        fit = re.sub(r"[^a-z0-9]+", "_", name[:64].lower()).strip("_")
        hint = f"call it {fit}" if _NAME.fullmatch(fit) else "call it something like read_sensor"
        problems.add(path, f"the name of a {kind} is lower-case letters, digits and _, and begins with a letter", hint)
    elif name in RESERVED:
        problems.add(path, f"{name} means something else in expressions", f"call the {kind} {name}_1, or better")


def check_as(name: str, path: Path, problems: Problems) -> None:
    """A problem where the name given to an item or an error could not be used in an expression."""
    if name in LOCAL:
        problems.add(path, f"{name} means something in expressions already", "remove it, or call it something like row")
        return
    found = len(problems)
    check_name(name, path, problems, kind="value")
    if len(problems) == found and not _is_free(name):
        problems.add(path, f"{name} is a word of expressions", "call it something like row")


def check_workflow_name(name: str, path: Path, problems: Problems) -> None:
    """A problem where a name is not `[a-z0-9][a-z0-9-]*`: it is a part of subjects and of commands."""
    if not _WORKFLOW_NAME.fullmatch(name):
        fit = re.sub(r"[^a-z0-9]+", "-", name[:64].lower()).strip("-")
        problems.add(
            path,
            f"the name of a workflow is up to 64 lower-case letters, digits and -, got {shown(name)}",
            f"call it {fit}" if fit else "call it something like cold-chain",
        )


def _is_free(name: str) -> bool:
    """Whether expressions read a word as a name: not `in` or `true`."""
    try:
        return compile_expression(name).references == (Reference(name, ()),)
    except ExpressionError:
        return False

"""The `flow` of a file: its bounds are read at deploy, its expressions are evaluated when a message is taken in."""

from collections.abc import Mapping
from typing import Any

from engine.definition.duration import Duration
from engine.definition.fields import check_known, convert, fields_of, is_object, read_struct
from engine.definition.flow import PRIORITIES, Debounce, Flow, FlowForm
from engine.definition.model import UNDEFINED
from engine.definition.problems import Path, Problems, shown
from engine.definition.references import TRIGGER_FIELDS
from engine.definition.statics import Statics
from engine.values import Json

__all__ = ["read_flow"]

_FIELDS = {field.encode_name: field for field in fields_of(FlowForm)}
_KNOWN = {"trigger": TRIGGER_FIELDS}


def read_flow(tree: Json, statics: Statics, problems: Problems) -> Flow | None:
    """The flow that an object stands for; None, and problems, where something is wrong with it."""
    path: Path = ("flow",)
    if not is_object(tree, path, problems):
        return None
    found = len(problems)
    check_known(tree, _FIELDS, path, problems, where="flow field")
    values: dict[str, Any] = {}
    for name in ("concurrency", "rate", "debounce", "queue"):
        if name in tree:
            value = statics.read(tree[name], (*path, name))
            if value is not UNDEFINED:
                values[name] = _bound(name, value, (*path, name), problems)
    for name in ("key", "priority", "dedupe"):
        if name in tree:
            values[name] = _formula(name, tree[name], (*path, name), statics, problems)
    if len(problems) > found:
        return None
    return Flow(**values)


def _bound(name: str, value: Json, path: Path, problems: Problems) -> Any:
    """The value of a field that is read at deploy."""
    found = len(problems)
    read: Any
    if name == "debounce" and isinstance(value, Mapping):
        read = read_struct(Debounce, value, path, problems)
    elif name == "debounce":
        read = convert(value, Duration, path, problems)
        read = None if read is None else Debounce(quiet=read)
    else:
        read = convert(value, _FIELDS[name].type, path, problems)
    if len(problems) > found or read is None:
        return None
    if name == "rate" and read.per <= 0:
        problems.add((*path, "per"), "expected more than 0s", "remove `rate` for no limit")
    if name == "debounce" and read.quiet <= 0:
        problems.add(path, "expected more than 0s", "remove `debounce` to start each message")
    if name == "debounce" and read.max is not None and read.max < read.quiet:
        problems.add((*path, "max"), "max is less than for", "raise it, or remove it")
    if name == "queue" and read.low is not None and read.low >= read.max:
        problems.add((*path, "low"), f"low is not below max, which is {read.max}", "lower it, or remove it")
    return read


def _formula(name: str, written: Json, path: Path, statics: Statics, problems: Problems) -> Any:
    """An expression as written, or a priority that is a number."""
    found = len(problems)
    convert(written, _FIELDS[name].type, path, problems)
    if len(problems) > found:
        return None
    if isinstance(written, int):
        low, high = PRIORITIES
        if not low <= written <= high:
            problems.add(path, f"expected a whole number from {low} to {high}, got {shown(written)}")
    elif isinstance(written, str):
        statics.check_early(written, path, known=_KNOWN, when="when a message is taken in")
    return written

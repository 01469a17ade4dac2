"""Several fields that are read at deploy, against one struct."""

from collections.abc import Mapping
from typing import Any

import msgspec

from engine.definition.fields import convert, fields_of, read_fields
from engine.definition.model import UNDEFINED, RetryPolicy
from engine.definition.problems import Path, Problems
from engine.definition.statics import Statics
from engine.values import Json

__all__ = ["merge_retry", "read_static_fields"]


def read_static_fields(
    form: type[msgspec.Struct],
    tree: Mapping[str, Json],
    path: Path,
    statics: Statics,
    problems: Problems,
    *,
    skip: tuple[str, ...] = (),
) -> dict[str, Any]:
    """The valid fields that are read at deploy. The others, and those in `skip`, are left out."""
    values: dict[str, Any] = {}
    for field in fields_of(form):
        name = field.encode_name
        if name not in tree or name in skip:
            continue
        value = statics.read(tree[name], (*path, name))
        if value is not UNDEFINED:
            found = len(problems)
            read = convert(value, field.type, (*path, name), problems)
            if len(problems) == found:
                values[field.name] = read
    return values


def merge_retry(policy: RetryPolicy, tree: Json, path: Path, statics: Statics, problems: Problems) -> RetryPolicy:
    """A policy with the fields that a file gives in place of its own."""
    written = statics.read(tree, path)
    if written is UNDEFINED:
        return policy
    fields = read_fields(RetryPolicy, written, path, Problems("")) or {}
    merged = msgspec.structs.replace(policy, **fields)
    if merged.delay > merged.max_delay:
        if "max_delay" in fields:
            problems.add((*path, "max_delay"), "max_delay is less than delay", "raise it, or remove it")
        merged = msgspec.structs.replace(merged, max_delay=merged.delay)
    return merged

"""A template and values become a workflow file, whose first lines say where it comes from: enough to make it again."""

import difflib
import hashlib
import json
from collections.abc import Mapping

import msgspec

from engine.contract import NodeTypes
from engine.definition.template import Instance, Template, fill, instantiate
from engine.definition.yaml_writer import write_filled, write_plain
from engine.values import Json

__all__ = ["Made", "Origin", "changes", "is_edited", "make", "read_origin"]

_MARK = "# template: "


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """What a made file says of its making."""

    name: str
    version: str
    source: str
    """How the template is found again: the name of a built-in one, or a path."""
    params: Mapping[str, Json]
    """The values that were given; parameters that had none follow the template's defaults."""
    hash: str
    """Of the file below these lines as it was made: tells whether somebody changed it since."""


class Made(msgspec.Struct, frozen=True):
    """A workflow file."""

    workflow: str
    text: str
    origin: Origin


def make(template: Template, source: str, given: Mapping[str, Json], *, types: NodeTypes) -> Made:
    """Raises InvalidWorkflow, for unfit values and for a template that gives no valid workflow with them."""
    instance = instantiate(template, given, types=types)
    body = _written(template, instance)
    params = {name: value for name, value in given.items() if name in template.params}
    origin = Origin(
        name=template.name, version=template.version, source=source, params=params, hash=_hash(body)
    )  # fmt: skip
    shown = ", ".join(f"{name}={_one_line(value)}" for name, value in instance.bound.items())
    head = f"# Made from the template {template.name}@{template.version}" + (f" with {shown}" if shown else "")
    lines = [
        head if len(head) <= 2000 else f"{head[:2000]}…",
        "# `ganglion new --update FILE` shows what another version of it would change; it reads the next line.",
        _MARK + _one_line(msgspec.structs.asdict(origin)),
        "",
    ]
    return Made(instance.workflow.name, "\n".join(lines) + "\n" + body, origin)


def read_origin(text: str) -> Origin | None:
    """Where a file comes from; None if it was not made from a template."""
    for line in text.split("\n")[:10]:
        if line.startswith(_MARK):
            try:
                return msgspec.json.decode(line.removeprefix(_MARK), type=Origin)
            except msgspec.DecodeError:
                return None
    return None


def is_edited(text: str, origin: Origin) -> bool:
    """Whether somebody changed a made file by hand."""
    _, _, below = text.partition(_MARK)
    return _hash(below.partition("\n")[2].lstrip("\n")) != origin.hash


def changes(name: str, old: str, new: str) -> str:
    """The difference of two texts as `diff -u` shows it; empty if there is none."""
    return "".join(
        difflib.unified_diff(
            old.splitlines(keepends=True), new.splitlines(keepends=True), fromfile=name, tofile=f"{name} (updated)"
        )
    )


def _written(template: Template, instance: Instance) -> str:
    if not template.filename.endswith((".yaml", ".yml")):
        return write_plain(instance.tree)

    def filled(value: Json) -> Json:
        return fill(value, instance.bound, _never)

    return write_filled(template.text, instance.tree, filled)


def _never(path: object, message: str, hint: str) -> None:
    """The same strings were filled before."""


def _one_line(value: Json) -> str:
    """JSON in ASCII: characters that some take for the end of a line would end the comment."""
    return json.dumps(value, ensure_ascii=True)


def _hash(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()[:16]

"""Bytes of a workflow file become a tree of plain data, with the line of every key.

The tree is Json: whatever the format, dates are strings, integers fit into 64 bits, keys are strings and none is there
twice. Everything from outside is bounded here; nothing behind this file meets a tree that is too large or too deep.
"""

import hashlib
from collections.abc import Mapping
from pathlib import PurePath

import msgspec

from engine.definition.json_source import read_json
from engine.definition.limits import MAX_BYTES, MAX_DEPTH, MAX_VALUES
from engine.definition.problems import Path, Problems
from engine.definition.syntax import Refused
from engine.values import InvalidValue, Json, check_value, encode_json

__all__ = ["Source", "canonical", "definition_hash", "parse_tree"]


def _read_yaml(text: str) -> tuple[Json, dict[Path, int]]:
    from engine.definition.yaml_source import read_yaml  # ruamel.yaml: 30 modules, for those who have such files

    return read_yaml(text)


def _read_toml(text: str) -> tuple[Json, dict[Path, int]]:
    from engine.definition.toml_source import read_toml

    return read_toml(text)


_READERS = {".yaml": _read_yaml, ".yml": _read_yaml, ".json": read_json, ".toml": _read_toml, "": _read_yaml}


class Source(msgspec.Struct, frozen=True):
    """A file that was read: its data, and where each key of it stands."""

    filename: str
    tree: Json
    lines: dict[Path, int] = {}
    """Path of a key or list item -> line, from 1. Best effort in TOML, and under an alias of YAML."""


def parse_tree(source: bytes, filename: str) -> Source:
    """Read YAML, JSON or TOML, as the ending says (YAML without one). Raises InvalidWorkflow with one problem."""
    problems = Problems(filename)
    reader = _READERS.get(PurePath(filename).suffix.lower())
    if reader is None:
        problems.add((), "a workflow file ends in .yaml, .yml, .json or .toml", "rename the file")
    elif len(source) > MAX_BYTES:
        problems.add((), f"{len(source)} bytes are more than a workflow file may have ({MAX_BYTES})")
    else:
        try:
            text = _decode(source)
            tree, lines = reader(text)
            check_tree(tree)
        except Refused as refused:
            problems = Problems(filename, {} if refused.line is None else {(): refused.line})
            problems.add((), refused.message, refused.hint)
        else:
            return Source(filename, tree, lines)
    problems.raise_any()
    raise AssertionError("unreachable")


def check_tree(tree: Json) -> None:
    """Raise Refused unless a tree is plain data within the limits."""
    try:
        check_value(tree, max_depth=MAX_DEPTH)
    except (InvalidValue, RecursionError) as error:
        raise Refused(str(error)) from None
    # An alias of YAML costs a few characters and stands for as many as it likes: what is stored has them all.
    left, characters, values = MAX_VALUES, MAX_BYTES, [tree]
    while values:
        value = values.pop()
        left -= 1
        if isinstance(value, str):
            characters -= len(value)
        elif isinstance(value, dict):
            characters -= sum(map(len, value))
            values.extend(value.values())
        elif isinstance(value, list):
            values.extend(value)
        if left < 0:
            raise Refused(f"more than {MAX_VALUES} values", "split the workflow")
        if characters < 0:
            raise Refused(f"more than {MAX_BYTES} characters, with what aliases stand for", "split the workflow")
    try:
        encode_json(tree)
    except UnicodeEncodeError:
        raise Refused("half a character (a lone surrogate)", "write the character itself") from None


def canonical(tree: Json) -> bytes:
    """How a definition is stored: compact JSON in the file's order, without comments or formatting."""
    return encode_json(tree)


def definition_hash(tree: Json, bound: Mapping[str, Json]) -> str:
    """sha256, in hex, over the canonical tree and the values of its parameters."""
    digest = hashlib.sha256(canonical(tree))
    digest.update(b"\n" + encode_json(bound))
    return digest.hexdigest()


def _decode(source: bytes) -> str:
    try:
        text = source.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = source.count(b"\n", 0, error.start) + 1
        raise Refused("this is not UTF-8 text", "save the file as UTF-8", line) from None
    place = text.find("\0")
    if place >= 0:
        raise Refused("a NUL character", "a workflow file is text", text.count("\n", 0, place) + 1)
    return text

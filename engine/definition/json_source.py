"""JSON into plain data. msgspec decodes; a second pass over the tokens finds lines and keys that are there twice."""

import re

from engine.definition.limits import MAX_BYTES, MAX_DEPTH
from engine.definition.problems import Path
from engine.definition.syntax import Refused
from engine.values import InvalidValue, Json, decode_json

__all__ = ["read_json"]

_TOKEN = re.compile(r'\n|[\[\]{},:]|"(?:[^"\\]|\\.)*+"|[^\s\[\]{},:"]+')
_BYTE = re.compile(r"byte ([0-9]+)")


def read_json(text: str) -> tuple[Json, dict[Path, int]]:
    """The data of a JSON file, and the line of every key and item. Raises Refused."""
    body = text.encode()
    if not text.strip():
        raise Refused("the file is empty", "start from an example: `ganglion new`")
    try:
        tree = decode_json(body, max_bytes=MAX_BYTES, max_depth=MAX_DEPTH)
    except InvalidValue as error:
        place = _BYTE.search(str(error))
        raise Refused(str(error), line=body.count(b"\n", 0, int(place[1])) + 1 if place else None) from None
    return tree, _lines(text)


def _lines(text: str) -> dict[Path, int]:
    """Walk the tokens of a text that is known to be JSON."""
    lines: dict[Path, int] = {}
    line = 1
    path: list[str | int] = []  # the step that is being read in every open list or object
    expects_key = False
    for mark in _TOKEN.findall(text):
        if mark == "\n":
            line += 1
        elif mark in "{[":
            lines.setdefault(tuple(path), line)
            expects_key = mark == "{"
            path.append("" if expects_key else 0)
        elif mark in "]}":
            path.pop()
            expects_key = False
        elif mark == ",":
            step = path[-1]
            expects_key = isinstance(step, str)
            if isinstance(step, int):
                path[-1] = step + 1
        elif expects_key:
            key: str = decode_json(mark.encode())
            path[-1] = key
            if tuple(path) in lines:
                raise Refused(f"the key {key[:64]} is there twice", "remove or rename one of them", line)
            lines[tuple(path)] = line
            expects_key = False
        else:
            lines.setdefault(tuple(path), line)
    return lines

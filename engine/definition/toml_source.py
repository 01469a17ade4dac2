"""TOML into plain data. tomllib decodes; lines are found by the look of headers and keys (best effort)."""

import re
import tomllib
from datetime import date, datetime, time

from engine.definition.limits import MAX_DEPTH
from engine.definition.problems import Path
from engine.definition.syntax import Refused
from engine.values import Json

__all__ = ["read_toml"]

_WORD = r"""(?:[A-Za-z0-9_-]++|"[^"\n]*+"|'[^'\n]*+')"""
_LONG_NAME = re.compile(rf"(?<![A-Za-z0-9_-]){_WORD}(?:[ \t]*+\.[ \t]*+{_WORD}){{{MAX_DEPTH}}}")
_HEADER = re.compile(r"\s*(\[\[?)\s*([A-Za-z0-9_.\s-]+?)\s*\]")
_KEY = re.compile(r"\s*([A-Za-z0-9_-]+(?:\s*\.\s*[A-Za-z0-9_-]+)*)\s*=")
_LINE = re.compile(r"line ([0-9]+)")


def read_toml(text: str) -> tuple[Json, dict[Path, int]]:
    """The data of a TOML file, and the line of most keys. Raises Refused."""
    if not text.strip():
        raise Refused("the file is empty", "start from an example: `ganglion new`")
    # tomllib's work on a dotted name grows with the square of its parts.
    name = _LONG_NAME.search(text)
    if name:
        raise Refused(f"a name of more than {MAX_DEPTH} parts", line=text.count("\n", 0, name.start()) + 1)
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = _LINE.search(str(error))
        raise Refused(f"not valid TOML: {error}", line=int(place[1]) if place else text.count("\n") + 1) from None
    except RecursionError:
        raise Refused(f"nested deeper than {MAX_DEPTH} levels") from None
    except ValueError as error:  # int() refuses thousands of digits
        raise Refused(f"not valid TOML: {error}") from None
    return _plain(tree, MAX_DEPTH), _lines(text)


def _plain(value: Json, depth: int) -> Json:
    """Dates become strings, as in the other formats."""
    if isinstance(value, dict | list) and depth <= 0:
        raise Refused(f"nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, dict):
        return {key: _plain(item, depth - 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item, depth - 1) for item in value]
    return value.isoformat() if isinstance(value, datetime | date | time) else value


def _lines(text: str) -> dict[Path, int]:
    lines: dict[Path, int] = {(): 1}
    table: Path = ()
    counts: dict[Path, int] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        header = _HEADER.match(line)
        if header:
            table = _steps(header[2])
            if header[1] == "[[":
                place = counts[table] = counts.get(table, -1) + 1
                lines.setdefault(table, number)
                table = (*table, place)
            lines.setdefault(table, number)
        elif key := _KEY.match(line):
            lines.setdefault((*table, *_steps(key[1])), number)
    return lines


def _steps(name: str) -> Path:
    return tuple(part.strip() for part in name.split("."))

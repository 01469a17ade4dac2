"""Filters with regular expressions, by RE2: its time is linear in the text, so no pattern can stop an agent.

RE2's syntax is Python's without what needs backtracking (look-around, back-references). It is imported when first used.
"""

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from engine.expressions.errors import Refusal
from engine.expressions.library import Filter
from engine.expressions.scope import Frame
from engine.values import Json

if TYPE_CHECKING:
    from collections.abc import Iterator

_MEMORY_BYTES = 1024 * 1024


@lru_cache(maxsize=64)
def _pattern(source: str, ignorecase: bool) -> Any:
    import re2

    if len(source) > 1000:
        raise Refusal("a pattern is at most 1000 characters")
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MEMORY_BYTES
    options.case_sensitive = not ignorecase
    try:
        return re2.compile(source, options)
    except re2.error as error:
        text = error.args[0] if error.args else "unreadable"
        reason = text.decode(errors="replace") if isinstance(text, bytes) else str(text)
        raise Refusal(f"not a pattern: {reason[:200]}", "look-around and back-references are not supported") from None


def regex_match(frame: Frame, value: str, pattern: str, ignorecase: bool = False) -> bool:
    frame.spend(len(value) >> 3)
    return _pattern(pattern, ignorecase).fullmatch(value) is not None


def regex_search(frame: Frame, value: str, pattern: str, ignorecase: bool = False) -> bool:
    frame.spend(len(value) >> 3)
    return _pattern(pattern, ignorecase).search(value) is not None


def regex_findall(frame: Frame, value: str, pattern: str, ignorecase: bool = False) -> Json:
    frame.spend(len(value) >> 3)
    found: list[Json] = []
    for one in _found(frame, value, pattern, ignorecase):
        groups = one.groups()
        found.append(one.group() if not groups else groups[0] if len(groups) == 1 else list(groups))
    return found


def regex_replace(frame: Frame, value: str, pattern: str, replacement: str, ignorecase: bool = False) -> str:
    frame.spend(len(value) >> 3)
    parts: list[str] = []
    position, size = 0, len(value)
    for one in _found(frame, value, pattern, ignorecase):
        made = _expanded(replacement, one)
        size += len(made)
        frame.room_for(size) if len(made) > 64 else frame.spend(1)
        parts += (value[position : one.start()], made)
        position = one.end()
    parts.append(value[position:])
    frame.room_for(sum(map(len, parts)))
    return "".join(parts)


def _found(frame: Frame, value: str, pattern: str, ignorecase: bool) -> "Iterator[Any]":
    for one in _pattern(pattern, ignorecase).finditer(value):
        frame.spend(8)
        yield one


def _expanded(replacement: str, found: Any) -> str:
    r"""The replacement with \1 … \9 as groups and \\ as a backslash."""
    if "\\" not in replacement:
        return replacement
    parts: list[str] = []
    pieces = iter(replacement.split("\\"))
    parts.append(next(pieces))
    for piece in pieces:
        if not piece:
            parts.append("\\" + next(pieces, ""))
        elif piece[0] in "0123456789" and int(piece[0]) <= len(found.groups()):
            parts.append((found.group(int(piece[0])) or "") + piece[1:])
        else:
            raise Refusal(f"regex_replace: \\{piece[0]} names no group", "write \\\\ for a backslash")
    return "".join(parts)


REGEX_FILTERS = [
    Filter(
        "regex_match", regex_match, "Whether all of a text fits a pattern.", r"'ab12'|regex_match('[a-z]+\d+')", True
    ),
    Filter(
        "regex_search", regex_search, "Whether a part of a text fits a pattern.", r"'ab12'|regex_search('\d')", True
    ),
    Filter(
        "regex_findall",
        regex_findall,
        "All parts of a text that fit: whole, or their groups.",
        r"'a1 b22'|regex_findall('[a-z](\d+)')",
        ["1", "22"],
    ),
    Filter(
        "regex_replace",
        regex_replace,
        "Each part that fits replaced; \\1 is the first group.",
        r"'John Smith'|regex_replace('(\w+) (\w+)', '\2, \1')",
        "Smith, John",
    ),
]

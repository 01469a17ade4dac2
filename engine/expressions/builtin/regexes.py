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
_MAX_LENGTH = 1000
_MAX_SIZE = 2000


@lru_cache(maxsize=64)
def _pattern(source: str, ignorecase: bool) -> Any:
    import re2

    if len(source) > _MAX_LENGTH:
        raise Refusal(f"a pattern is at most {_MAX_LENGTH} characters")
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MEMORY_BYTES
    options.case_sensitive = not ignorecase
    try:
        compiled = re2.compile(source, options)
    except re2.error as error:
        text = error.args[0] if error.args else "unreadable"
        reason = text.decode(errors="replace") if isinstance(text, bytes) else str(text)
        raise Refusal(f"not a pattern: {reason[:200]}", "look-around and back-references are not supported") from None
    if compiled.programsize > _MAX_SIZE:
        raise Refusal("the pattern is too large", "use smaller counts: {1,50} is fifty copies")
    return compiled


def _paid(frame: Frame, value: str, pattern: str, ignorecase: bool) -> Any:
    """The pattern, with one pass over the text paid: RE2's worst is the product of the two sizes."""
    compiled = _pattern(pattern, ignorecase)
    frame.spend(len(value) * compiled.programsize >> 6)
    return compiled


def regex_match(frame: Frame, value: str, pattern: str, ignorecase: bool = False) -> bool:
    return _paid(frame, value, pattern, ignorecase).fullmatch(value) is not None


def regex_search(frame: Frame, value: str, pattern: str, ignorecase: bool = False) -> bool:
    return _paid(frame, value, pattern, ignorecase).search(value) is not None


def regex_findall(frame: Frame, value: str, pattern: str, ignorecase: bool = False) -> Json:
    found: list[Json] = []
    for one in _found(frame, value, pattern, ignorecase):
        groups = one.groups()
        found.append(one.group() if not groups else groups[0] if len(groups) == 1 else list(groups))
    return found


def regex_replace(frame: Frame, value: str, pattern: str, replacement: str, ignorecase: bool = False) -> str:
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
    """Each match. One may look at all of the rest before it is found short (`a.*b|a`), so each pays for the rest."""
    compiled = _paid(frame, value, pattern, ignorecase)
    size = compiled.programsize
    weight = size if size <= 40 else size * size  # larger ones may leave RE2's fast automaton
    for one in compiled.finditer(value):
        frame.spend(8 + ((len(value) - one.end()) * weight >> 14))
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

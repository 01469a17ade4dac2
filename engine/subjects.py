"""NATS subjects as text: valid, matching, overlapping, covering. Pure.

A subject is tokens joined by dots. In a pattern a token `*` stands for exactly one token, and `>` as the last one for
one or more.
"""

from collections.abc import Iterable
from typing import TypeAlias

MAX_BYTES = 255
"""Longest subject, in bytes of UTF-8."""

_RESERVED = frozenset({"$JS", "$SYS", "_INBOX"})
_Tokens: TypeAlias = tuple[str, ...]


def check_subject(subject: str, *, wildcards: bool) -> None:
    """Raise ValueError unless this is a subject that people may use; the text says why. `wildcards` allows patterns."""
    shown = repr(subject if len(subject) <= 60 else subject[:60] + "…")
    if not subject:
        raise ValueError("the subject is empty: expected something such as sensors.fridge.temperature")
    try:
        length = len(subject.encode())
    except UnicodeEncodeError:
        raise ValueError(f"the subject {shown} holds half a character (a lone surrogate)") from None
    if length > MAX_BYTES:
        raise ValueError(f"the subject {shown} has {length} bytes; at most {MAX_BYTES} are allowed")
    for character in subject:
        if character.isspace() or not character.isprintable():
            raise ValueError(f"the subject {shown} holds {character!r}: spaces and control characters are not allowed")
    tokens = subject.split(".")
    for place, part in enumerate(tokens):
        if not part:
            raise ValueError(f"the subject {shown} has an empty token: no dot first, last, or beside another")
        if "*" in part or ">" in part:
            if not wildcards:
                raise ValueError(f"the subject {shown} holds a wildcard: one exact subject is needed here")
            if len(part) > 1:
                raise ValueError(f"the subject {shown} has a wildcard inside the token {part!r}: it must stand alone")
            if part == ">" and place != len(tokens) - 1:
                raise ValueError(f"the subject {shown} has > before its end: use * for one token")
    if tokens[0] in _RESERVED:
        raise ValueError(f"the subject {shown} is reserved: {tokens[0]}.> belongs to the NATS server and its clients")


def check_capture(subject: str) -> None:
    """Raise ValueError unless the agent's own stream can capture this pattern; the text says why and what to do.

    The server refuses a stream whose subjects could hold its own API: every pattern that begins with a wildcard, `*.a`
    too (nats-server 2.15). What is under `ganglion.` is kept by the agent's other streams. A pattern of a `cover`
    begins with the same token as what it covers, so checking each trigger is enough.
    """
    check_subject(subject, wildcards=True)
    first = subject.partition(".")[0]
    if first in {"*", ">"}:
        raise ValueError(
            f"a stream can't capture {subject!r}: the first token must not be a wildcard; "
            "name it, or set capture: core or an existing stream"
        )
    if first == "ganglion":
        raise ValueError(
            f"{subject!r} is Ganglion's own: every workflow starts on ganglion.trigger.<tenant>.any.<workflow> anyway; "
            "to hear of events, set stream: GANGLION_EVENTS"
        )


def matches(pattern: str, subject: str) -> bool:
    """Whether a pattern covers an exact subject."""
    return _contains(tuple(pattern.split(".")), tuple(subject.split(".")))


def overlaps(a: str, b: str) -> bool:
    """Whether some subject matches both patterns."""
    return _overlap(tuple(a.split(".")), tuple(b.split(".")))


def cover(patterns: Iterable[str]) -> tuple[str, ...]:
    """The finest disjoint cover: sorted patterns, no two overlapping, so that each given one lies within one of them.

    Two patterns that overlap are replaced by the narrowest pattern that holds both (`a.*.c` and `a.b.*` by `a.*.*`)
    until none do. Why this is the finest: in any disjoint cover the member that holds `a` and the one that holds an
    overlapping `b` share a subject, so they are one member, and it holds the narrowest pattern over both; so no merge
    made here can be avoided, and their order is of no consequence. The price of disjointness is that it may
    match subjects that nobody asked for (`a.x.x` above). Quadratic in the number of patterns.
    """
    merged: list[_Tokens] = []
    for pattern in sorted(set(patterns)):
        tokens = tuple(pattern.split("."))
        while (other := next((one for one in merged if _overlap(one, tokens)), None)) is not None:
            merged.remove(other)
            tokens = _narrowest_over(tokens, other)
        merged.append(tokens)
    return tuple(sorted(".".join(tokens) for tokens in merged))


def _contains(pattern: _Tokens, subject: _Tokens) -> bool:
    if pattern[-1] == ">":
        pattern = pattern[:-1]
        if len(subject) <= len(pattern):
            return False
    elif len(subject) != len(pattern):
        return False
    return all(ours in ("*", theirs) for ours, theirs in zip(pattern, subject, strict=False))


def _overlap(a: _Tokens, b: _Tokens) -> bool:
    for ours, theirs in zip(a, b, strict=False):
        if ours == ">" or theirs == ">":
            return True
        if ours != theirs and ours != "*" and theirs != "*":
            return False
    return len(a) == len(b)


def _narrowest_over(a: _Tokens, b: _Tokens) -> _Tokens:
    """Two overlapping patterns have the same length, or one ends with `>` within the other."""
    tokens: list[str] = []
    for ours, theirs in zip(a, b, strict=False):
        if ours == ">" or theirs == ">":
            return (*tokens, ">")
        tokens.append(ours if ours == theirs else "*")
    return tuple(tokens)

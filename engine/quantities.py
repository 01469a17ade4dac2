"""Durations and sizes as people write them: 500ms, 1h30m, 7d; 64KiB, 1GB."""

import math
import re

from engine.values import Json

__all__ = ["MAX_SECONDS", "format_duration", "format_size", "parse_duration", "parse_size"]

MAX_SECONDS = 10 * 365 * 86_400.0
"""Longest duration: ten years."""

_SECONDS = {"w": 604_800.0, "d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 0.001, "us": 0.000_001}
_DURATION = re.compile(r"(?:[0-9]{1,12}(?:\.[0-9]{1,9})?(?:ms|us|[wdhms]))+", re.ASCII)
_PART = re.compile(r"([0-9.]+)(ms|us|[wdhms])")
_BYTES = {"": 1, "B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_SIZE = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?) ?([A-Za-z]{0,3})", re.ASCII)


def parse_duration(value: Json) -> float:
    """Seconds of `500ms`, `30s`, `5m`, `1h30m`, `7d`, or of a number of seconds.

    Units go from large to small, each once. Raises ValueError, also for negative durations and those over ten years.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _within(value)
    if not isinstance(value, str) or len(value) > 64 or not _DURATION.fullmatch(value):
        raise ValueError("expected a duration such as 30s")
    seconds, last = 0.0, math.inf
    for number, unit in _PART.findall(value):
        if _SECONDS[unit] >= last:
            raise ValueError("expected a duration such as 1h30m, with units from large to small")
        last = _SECONDS[unit]
        seconds += float(number) * last
    return _within(seconds)


def format_duration(seconds: float) -> str:
    """The shortest form that `parse_duration` reads back: 90.0 is 1m30s. Exact to the microsecond."""
    left = round(seconds * 1_000_000)
    text = ""
    for unit, size in (("d", 86_400_000_000), ("h", 3_600_000_000), ("m", 60_000_000), ("s", 1_000_000), ("ms", 1_000)):
        count, left = divmod(left, size)
        text += f"{count}{unit}" if count else ""
    if left:
        text += f"{left}us"
    return text or "0s"


def parse_size(value: Json) -> int:
    """Bytes of `64KiB`, `1.5MB`, `100B`, or of a whole number of bytes. Raises ValueError."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53:
        return value
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if match is None or match[2] not in _BYTES:
        raise ValueError("expected a size such as 64KiB or 10MB")
    size = float(match[1]) * _BYTES[match[2]]
    if size >= 2**53:
        raise ValueError("expected a size below 8 PiB")
    return int(size)


def format_size(size: int) -> str:
    """A size for people: 1.5 KiB is `1.5KiB`."""
    for unit in ("GiB", "MiB", "KiB"):
        if size >= _BYTES[unit]:
            return f"{size / _BYTES[unit]:.4g}{unit}"
    return f"{size}B"


def _within(seconds: float) -> float:
    if not 0 <= seconds <= MAX_SECONDS:
        raise ValueError("expected a duration from 0s to 3650d")
    return float(seconds)

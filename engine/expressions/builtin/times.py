"""Filters of times. A time is an RFC 3339 text in UTC; a duration is a number of seconds, written 90s or 1h30m."""

import re
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from engine.clock import format_time as show_time
from engine.clock import parse_time
from engine.expressions.errors import Refusal
from engine.expressions.library import Filter, Number
from engine.expressions.operators import brief, number
from engine.expressions.scope import Frame

_DURATION = re.compile(r"[-+]?(?:[0-9]{1,15}(?:\.[0-9]{1,9})?(?:ms|us|[smhdw]))+", re.ASCII)
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|us|[smhdw])", re.ASCII)
_SECONDS: Final = {"us": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
# Letters of strftime without flags and widths, for '%1000000000d' makes the C library fill a gigabyte; and without
# those that depend on the machine's locale.
_DIRECTIVES: Final = frozenset("YymdHIMSfpjAaBbZzuUWGVFT%")
_DIRECTIVE = re.compile(r"%(.?)", re.DOTALL)
_FIRST, _LAST = parse_time("0001-01-02T00:00:00Z"), parse_time("9999-12-30T00:00:00Z")


def time(_frame: Frame, value: str | Number, offset: str | Number = 0) -> str:
    seconds = _seconds(offset)
    if abs(seconds) > 1e12:
        raise Refusal(f"time: an offset of {brief(offset)} leads nowhere")
    return show_time(_checked(_microseconds(value) + round(seconds * 1_000_000), value))


def timestamp(_frame: Frame, value: str | Number) -> Number:
    micro = _microseconds(value)
    return micro // 1_000_000 if micro % 1_000_000 == 0 else micro / 1_000_000


def duration(_frame: Frame, value: str | Number) -> Number:
    return _seconds(value)


def format_time(_frame: Frame, value: str | Number, format: str = "%Y-%m-%d %H:%M:%S", timezone: str = "UTC") -> str:
    if len(format) > 200:
        raise Refusal("format_time: the format is at most 200 characters")
    for found in _DIRECTIVE.finditer(format):
        if found[1] not in _DIRECTIVES:
            raise Refusal(f"format_time: {found[0]} is no directive", "such as %Y-%m-%d %H:%M:%S, %A, %B, %Z")
    micro = _microseconds(value)
    moment = datetime.fromtimestamp(micro // 1_000_000, UTC).replace(microsecond=micro % 1_000_000)
    return moment.astimezone(_zone(timezone)).strftime(format)


def _zone(name: str) -> ZoneInfo:
    try:
        if len(name) > 64:
            raise ValueError
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        raise Refusal(f"there is no time zone {name[:64]}", "such as UTC or Europe/Berlin") from None


def _microseconds(value: str | Number) -> int:
    if isinstance(value, str):
        try:
            if len(value) > 64:
                raise ValueError
            micro = parse_time(value.strip())
        except (ValueError, OverflowError):
            raise Refusal(f"{brief(value)} is no time", "a time is written 2026-11-21T10:15:00Z") from None
    else:
        micro = round(value * 1_000_000) if abs(value) < 1e12 else _LAST + 1
    return _checked(micro, value)


def _checked(micro: int, value: str | Number) -> int:
    if not _FIRST <= micro <= _LAST:
        raise Refusal(f"{brief(value)} is no time between the years 1 and 9999", "a number is seconds since 1970")
    return micro


def _seconds(value: str | Number) -> Number:
    if not isinstance(value, str):
        return value
    text = value.strip() if len(value) <= 64 else ""
    if not _DURATION.fullmatch(text):
        raise Refusal(f"{brief(value)} is no duration", "a duration is written 90s, 500ms or 1h30m")
    parts = [(float(amount) if "." in amount else int(amount), unit) for amount, unit in _PART.findall(text)]
    total = sum(amount * _SECONDS[unit] for amount, unit in parts)
    return number(-total if text.startswith("-") else total)


TIME_FILTERS = [
    Filter(
        "time",
        time,
        "A time (text, or seconds since 1970) as RFC 3339 UTC, moved by an offset.",
        "'2026-11-21T11:15:00+01:00'|time('-15m')",
        "2026-11-21T10:00:00.000000Z",
    ),
    Filter("timestamp", timestamp, "Seconds since 1970 of a time.", "'1970-01-02T00:00:00Z'|timestamp", 86400),
    Filter("duration", duration, "The seconds of a duration.", "'1h30m'|duration", 5400),
    Filter(
        "format_time",
        format_time,
        "A time for people, in a format of strftime and a time zone.",
        "'2026-11-21T10:15:00Z'|format_time('%d.%m.%Y %H:%M', 'Europe/Berlin')",
        "21.11.2026 11:15",
    ),
]

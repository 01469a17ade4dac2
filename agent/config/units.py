"""Settings that are more than text or a number: how they are read, and how they are shown.

A `read` takes what stands in a file, the environment or a flag, gives the plain value, or raises ValueError with what
was expected.
"""

import re
from typing import Annotated

from msgspec import Meta

from engine.quantities import format_duration, format_size, parse_duration, parse_size
from engine.values import Json

_AGENT_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_HOST_PORT = re.compile(r"(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})")


def read_duration(value: Json) -> float:
    """Seconds of `24h` or `1h30m`."""
    if not isinstance(value, str):
        raise ValueError('expected a duration in quotes, such as "30s"')
    return parse_duration(value)


def read_address(value: Json) -> str:
    """host:port to listen on, or nothing."""
    if value == "":
        return ""
    match = _HOST_PORT.fullmatch(value) if isinstance(value, str) else None
    if match is None or int(match[1]) > 65_535:
        raise ValueError("expected host:port, such as 127.0.0.1:4222 (port 0 takes a free one)")
    return match[0]


def read_agent_id(value: Json) -> str:
    """A name as it may stand in subjects, or nothing."""
    if value != "" and not is_agent_id(value):
        raise ValueError("expected up to 63 lower-case letters, digits and hyphens (and not `any`)")
    return str(value)


def read_sync_interval(value: Json) -> str:
    """`always`, or a duration."""
    if value != "always":
        try:
            parse_duration(value if isinstance(value, str) else "")
        except ValueError:
            raise ValueError('expected "always" or a duration such as "1s"') from None
    return str(value)


def read_keep_alive(value: Json) -> float:
    """Seconds; `forever` is less than none."""
    if value == "forever":
        return -1.0
    if not isinstance(value, str):
        raise ValueError('expected a duration in quotes, such as "5m", or "forever"')
    return parse_duration(value)


def show_keep_alive(seconds: float) -> str:
    return "forever" if seconds < 0 else format_duration(seconds)


def is_agent_id(value: Json) -> bool:
    """May this stand as an agent's token in a subject?"""
    return isinstance(value, str) and _AGENT_ID.fullmatch(value) is not None and value != "any"


Duration = Annotated[float, Meta(extra={"read": read_duration, "show": format_duration})]
"""Seconds."""
KeepAlive = Annotated[float, Meta(extra={"read": read_keep_alive, "show": show_keep_alive})]
"""Seconds; negative is forever."""
Size = Annotated[int, Meta(extra={"read": parse_size, "show": format_size})]
"""Bytes."""
Address = Annotated[str, Meta(extra={"read": read_address})]
AgentId = Annotated[str, Meta(extra={"read": read_agent_id})]
SyncInterval = Annotated[str, Meta(extra={"read": read_sync_interval})]

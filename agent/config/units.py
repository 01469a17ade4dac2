"""Settings that are more than text or a number. Each reads itself, or raises ValueError with what was expected."""

import re
from typing import Self

from engine.definition.quantities import parse_duration, parse_size

_AGENT_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_HOST_PORT = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})")


class Duration(float):
    """Seconds; written as `24h` or `1h30m`."""

    text: str

    def __new__(cls, text: str) -> Self:
        if not isinstance(text, str):
            raise ValueError('expected a duration in quotes, such as "30s"')
        duration = super().__new__(cls, parse_duration(text))
        duration.text = text
        return duration

    def __str__(self) -> str:
        return self.text


class Size(int):
    """Bytes; written as `64KiB` or `1GB`, or as a number."""

    text: str

    def __new__(cls, text: str | int) -> Self:
        size = super().__new__(cls, parse_size(text))
        size.text = str(text)
        return size

    def __str__(self) -> str:
        return self.text


class Address(str):
    """host:port to listen on, or nothing."""

    __slots__ = ("host", "port")
    host: str
    port: int

    def __new__(cls, text: str = "") -> Self:
        address = super().__new__(cls, text)
        address.host, address.port = "", 0
        if text:
            match = _HOST_PORT.fullmatch(text) if isinstance(text, str) else None
            if match is None or int(match[2]) > 65_535:
                raise ValueError("expected host:port, such as 127.0.0.1:4222 (port 0 takes a free one)")
            address.host, address.port = match[1], int(match[2])
        return address


class AgentId(str):
    """An agent's name as it stands in subjects, or nothing."""

    __slots__ = ()

    def __new__(cls, text: str = "") -> Self:
        if text and not is_agent_id(text):
            raise ValueError("expected up to 63 lower-case letters, digits and hyphens (and not `any`)")
        return super().__new__(cls, text)


class SyncInterval(str):
    """`always`, or a duration."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        if text != "always":
            try:
                parse_duration(text if isinstance(text, str) else "")
            except ValueError:
                raise ValueError('expected "always" or a duration such as "1s"') from None
        return super().__new__(cls, text)


def is_agent_id(text: object) -> bool:
    """May this stand as an agent's token in a subject?"""
    return isinstance(text, str) and _AGENT_ID.fullmatch(text) is not None and text != "any"

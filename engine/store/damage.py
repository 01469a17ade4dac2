"""How damage is found in rows: SQLite has no checksum of its own for a page."""

import zlib
from collections.abc import Callable, Iterable

import msgspec

from engine.store.errors import StoreCorrupt


def checksum(head: str, *bodies: bytes | None) -> int:
    """CRC-32 over what a row is made of."""
    crc = zlib.crc32(head.encode(errors="replace"))
    for body in bodies:
        if body:
            # A damaged row may hold text or a number where bytes were.
            crc = zlib.crc32(body if isinstance(body, bytes) else repr(body).encode(), crc)
    return crc


def problems(rows: Iterable[tuple[str, Callable[[], object]]]) -> dict[str, str]:
    """id -> the first problem, of rows given as (id, what reads it)."""
    found: dict[str, str] = {}
    for execution, read in rows:
        try:
            read()
        except (StoreCorrupt, ValueError, TypeError, msgspec.MsgspecError) as error:
            found.setdefault(execution, str(error))
    return found

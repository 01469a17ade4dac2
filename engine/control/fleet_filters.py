"""What requests to a recorder say of time and names, as its store wants to know it."""

from collections.abc import Mapping, Sequence

from engine.clock import parse_time
from engine.control.verb import Refused
from engine.quantities import parse_duration

MAX_NAMES = 500
"""In one filter."""


def moment(field: str, text: str, now: int) -> int | None:
    """Microseconds of an RFC 3339 time, or of a duration before now; None for nothing. Raises Refused."""
    if not text:
        return None
    try:
        return now - round(parse_duration(text) * 1_000_000)
    except ValueError:
        pass
    try:
        return parse_time(text)
    except (ValueError, OverflowError):
        raise Refused(
            400,
            f"{field}: expected a time such as 2026-11-21T10:15:00Z, or a duration before now such as 2h, "
            f"got {text[:64]!r}",
        ) from None


def check_names(field: str, names: Sequence[str]) -> tuple[str, ...]:
    """Raises Refused for more than a query can hold."""
    if len(names) > MAX_NAMES:
        raise Refused(400, f"{field}: {len(names)} are more than {MAX_NAMES}: ask for fewer, or for labels")
    return tuple(names)


def labels_of(labels: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Raises Refused for more than a query can hold."""
    check_names("labels", tuple(labels))
    return tuple(labels.items())

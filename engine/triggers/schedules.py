"""Cron schedules as text: is it one, and does it ever come?"""

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, available_timezones

from croniter import croniter

_FIELDS = "expected five fields: minute hour day month weekday, such as */15 * * * *"
_SCHEDULE = re.compile(r"@(?:yearly|annually|monthly|weekly|daily|midnight|hourly)|[0-9A-Za-z*/,#? -]{9,200}")


def check_schedule(schedule: str) -> None:
    """Raise ValueError unless this is a schedule of five fields (or @hourly, @daily …) that comes at least once in the
    years ahead; the text says why."""
    shown = repr(schedule if len(schedule) <= 60 else schedule[:60] + "…")
    if not _SCHEDULE.fullmatch(schedule) or (schedule[0] != "@" and len(schedule.split()) != 5):
        raise ValueError(f"{_FIELDS}, got {shown}")
    # `H` and `R` stand for a hashed and a random value in croniter: two runs of one agent would not agree.
    if any(field[0] in "HRhr" for field in schedule.split()):
        raise ValueError(f"the schedule {shown} is not valid: H and R are not supported")
    try:
        croniter(schedule, datetime(2024, 1, 1, tzinfo=UTC)).get_next(datetime)
    except (ValueError, KeyError, IndexError, TypeError, OverflowError) as error:
        raise ValueError(f"the schedule {shown} is not valid: {error}") from None


def check_timezone(timezone: str) -> None:
    """Raise ValueError unless this is a time zone of the IANA database, such as Europe/Berlin."""
    try:
        ZoneInfo(timezone)
    except (ValueError, OSError, LookupError):
        raise ValueError(
            f"there is no time zone {timezone[:64]!r}: expected one such as Europe/Berlin or UTC"
        ) from None


def timezones() -> frozenset[str]:
    """All names, for suggestions."""
    return frozenset(available_timezones())

"""A cron schedule in a time zone, as a pure function of time.

Five fields, minute hour day month weekday, or `@hourly`, `@daily` and the like. If both days are restricted, either
will do, as in every cron.

Each wall time occurs once. Where the clocks are put forward, times in the skipped hour run at its end (02:30 at 03:00
in Berlin), several as one. Where they are put back, times in the doubled hour run the first time only. croniter decides
which wall times a schedule means, nothing else: asked with a zone it gives a nightly job of the doubled hour twice (see
test_croniter_itself_runs_the_doubled_hour_twice).
"""

import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

__all__ = ["Schedule", "check_schedule", "check_timezone", "timezones"]

_SECOND = 1_000_000
_FIELDS = "expected five fields: minute hour day month weekday, such as */15 * * * *"
_SCHEDULE = re.compile(r"@(?:yearly|annually|monthly|weekly|daily|midnight|hourly)|[0-9A-Za-z*/,#? -]{9,200}")
_YEARS = 9
"""How far a time is looked for: from 1896 to 1904 there was no 29 February, and 2100 will have none."""


def check_schedule(schedule: str) -> None:
    """Raise ValueError unless this is a schedule that comes in the years ahead; the text says why."""
    shown = repr(schedule if len(schedule) <= 60 else schedule[:60] + "…")
    if not _SCHEDULE.fullmatch(schedule) or (schedule[0] != "@" and len(schedule.split()) != 5):
        raise ValueError(f"{_FIELDS}, got {shown}")
    # `H` and `R` stand for a hashed and a random value in croniter: two runs of one agent would not agree.
    if any(field[0] in "HRhr" for field in schedule.split()):
        raise ValueError(f"the schedule {shown} is not valid: H and R are not supported")
    try:
        _walls(schedule, datetime(2024, 1, 1)).get_next(datetime)
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


class Schedule:
    """When a checked schedule is due. Instants are microseconds since 1970."""

    def __init__(self, schedule: str, timezone: str = "UTC") -> None:
        """Raises ValueError for what the checks refuse."""
        check_schedule(schedule)
        check_timezone(timezone)
        self.text = f"{schedule} {timezone}"
        """Tells one schedule from another, the zone included."""
        self._schedule = schedule
        self._zone = ZoneInfo(timezone)

    def after(self, instant: int) -> int | None:
        """The first time after an instant; None if there is none for years."""
        walls = _walls(self._schedule, self._local(instant))
        for wall in _until_none(lambda: walls.get_next(datetime)):
            time = self._instant(wall)
            if time > instant:
                return time
        return None

    def newest(self, first: int, last: int, limit: int) -> list[int]:
        """The newest `limit` times from `first` to `last`, both included, oldest first. 60 µs for each."""
        local = self._local(last)
        # When a doubled hour shows for the second time, wall times that look later have been already.
        walls = _walls(self._schedule, local + timedelta(hours=3 if local.fold else 0, seconds=1))
        times: dict[int, None] = {}
        for wall in _until_none(lambda: walls.get_prev(datetime)):
            time = self._instant(wall)
            if time < first or len(times) == limit:
                break
            if time <= last:
                times[time] = None
        return sorted(times)

    def _local(self, instant: int) -> datetime:
        seconds, fraction = divmod(instant, _SECOND)
        return datetime.fromtimestamp(seconds, self._zone).replace(microsecond=fraction)

    def _instant(self, wall: datetime) -> int:
        """When the clock on the wall first shows this time, or, where it never does, jumps over it."""
        named = wall.replace(tzinfo=self._zone, fold=0)
        instant = int(named.timestamp())
        if datetime.fromtimestamp(instant, self._zone).replace(tzinfo=None) == wall:
            return instant * _SECOND
        # Skipped. Read with the offset after the jump, it lies before the jump, and the other way round; in between is
        # the first second with the new offset.
        before, after = int(named.replace(fold=1).timestamp()), instant
        offset = datetime.fromtimestamp(after, self._zone).utcoffset()
        while after - before > 1:
            middle = (before + after) // 2
            if datetime.fromtimestamp(middle, self._zone).utcoffset() == offset:
                after = middle
            else:
                before = middle
        return after * _SECOND


def _walls(schedule: str, start: datetime) -> Any:
    """croniter's iterator over wall times, without a zone."""
    from croniter import croniter  # when first needed: importing it takes 60 ms

    return croniter(schedule, start.replace(tzinfo=None, fold=0), max_years_between_matches=_YEARS)


def _until_none(step: Callable[[], datetime]) -> Iterator[datetime]:
    from croniter import CroniterBadDateError

    while True:
        try:
            yield step()
        except (CroniterBadDateError, OverflowError):
            return

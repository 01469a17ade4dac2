"""A cron schedule in a time zone, as a pure function of time.

Fields are minute, hour, day of month, month, day of week, and, where six are given, second at the end; `@hourly`,
`@daily` and the like are read too. If both days are restricted, either will do, as in every cron.

Each wall time occurs once. Where the clocks are put forward, times in the skipped hour run at its end (02:30 at 03:00
in Berlin), several as one. Where they are put back, times in the doubled hour run the first time only. croniter decides
which wall times a schedule means, nothing else: what it makes of a zone's jumps is left aside, since its two readings
of a doubled hour would run a nightly job twice (see test_each_wall_time_of_a_doubled_hour_runs_once).
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

__all__ = ["Schedule", "check_schedule"]

_SECOND = 1_000_000
_ALIASES = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")
MAX_LENGTH = 256
YEARS = 8
"""How far a time is looked for; 29 February may be eight years away."""


def check_schedule(schedule: str, timezone: str = "UTC") -> None:
    """Raise ValueError unless this is a schedule that has a next time; the text says why."""
    if not Schedule(schedule, timezone).is_satisfiable:
        raise ValueError(f"the schedule {schedule!r} names a day that never comes")


class Schedule:
    """Instants are microseconds since 1970."""

    def __init__(self, schedule: str, timezone: str = "UTC") -> None:
        """Raises ValueError for what is not a schedule or not a zone."""
        self.text = f"{schedule} {timezone}"
        """Tells one schedule from another, the zone included."""
        self._fields = _checked(schedule)
        self._zone = _zone(timezone)
        try:
            self._walls(datetime(2000, 1, 1))
        except ValueError as error:
            raise ValueError(
                f"{schedule!r} is not a schedule ({error}): "
                "expected minute hour day month weekday, such as */15 * * * *"
            ) from None

    @property
    def is_satisfiable(self) -> bool:
        return next(self._forward(datetime(2000, 1, 1)), None) is not None

    def after(self, instant: int) -> int | None:
        """The first time after an instant; None if there is none within years."""
        for wall in self._forward(self._local(instant)):
            time = self._instant(wall)
            if time > instant:
                return time
        return None

    def newest(self, first: int, last: int, limit: int) -> list[int]:
        """The newest `limit` times from `first` to `last`, both included, oldest first."""
        local = self._local(last)
        # Within the doubled hour, wall times that look later have been already.
        start = local + timedelta(hours=3) if local.fold else local
        times: set[int] = set()
        for wall in self._backward(start.replace(fold=0) + timedelta(seconds=1)):
            time = self._instant(wall)
            if time < first:
                break
            if time <= last:
                times.add(time)
                if len(times) == limit:
                    break
        return sorted(times)

    def _forward(self, wall: datetime) -> Iterator[datetime]:
        walls = self._walls(wall)
        return _until_none(lambda: walls.get_next(datetime))

    def _backward(self, wall: datetime) -> Iterator[datetime]:
        walls = self._walls(wall)
        return _until_none(lambda: walls.get_prev(datetime))

    def _walls(self, start: datetime) -> Any:
        from croniter import croniter  # on its first use: its import costs 20 ms

        return croniter(self._fields, start.replace(fold=0, tzinfo=None), max_years_between_matches=YEARS)

    def _local(self, instant: int) -> datetime:
        seconds, fraction = divmod(instant, _SECOND)
        return datetime.fromtimestamp(seconds, self._zone).replace(microsecond=fraction)

    def _instant(self, wall: datetime) -> int:
        """When the clock on the wall first shows this time, or, where it never does, jumps over it."""
        before = wall.replace(tzinfo=self._zone, fold=0)
        instant = int(before.timestamp())
        if datetime.fromtimestamp(instant, self._zone).replace(tzinfo=None) == wall:
            return instant * _SECOND
        # Skipped. Read with the offset after the jump it lies before the jump, and the other way round: between them is
        # the first second with the new offset.
        low, high = int(before.replace(fold=1).timestamp()), instant
        offset = datetime.fromtimestamp(high, self._zone).utcoffset()
        while high - low > 1:
            middle = (low + high) // 2
            if datetime.fromtimestamp(middle, self._zone).utcoffset() == offset:
                high = middle
            else:
                low = middle
        return high * _SECOND


def _until_none(step: Any) -> Iterator[datetime]:
    from croniter import CroniterBadDateError

    while True:
        try:
            yield step()
        except CroniterBadDateError:
            return


def _checked(schedule: str) -> str:
    text = " ".join(schedule.split())
    if len(schedule) > MAX_LENGTH:
        raise ValueError(f"the schedule has {len(schedule)} characters; at most {MAX_LENGTH} are allowed")
    if text.startswith("@"):
        if text.lower() not in _ALIASES:
            raise ValueError(f"{schedule!r} is not a schedule: expected one of {', '.join(_ALIASES)}, or five fields")
        return text.lower()
    fields = text.split(" ")
    if len(fields) not in (5, 6):
        raise ValueError(
            f"{schedule!r} has {len(fields)} fields: expected minute hour day month weekday, such as */15 * * * *"
        )
    if any(field[:1] in "hHrR" for field in fields):
        # croniter's jitter: R would be another time at each look, H needs a name to hash.
        raise ValueError(f"{schedule!r} is not a schedule: random fields (H, R) are not supported")
    return text


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"there is no time zone {name[:64]!r}: expected a name such as Europe/Berlin or UTC") from None

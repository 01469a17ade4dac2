import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.definition import format_duration, format_size, parse_duration, parse_size
from engine.quantities import MAX_SECONDS
from engine.values import Json


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("500ms", 0.5), ("30s", 30), ("5m", 300), ("1h30m", 5400), ("7d", 604_800), ("2w", 1_209_600), ("1.5s", 1.5),
     ("1d2h3m4s5ms6us", 93_784.005006), (5, 5), (0.25, 0.25), (0, 0), ("0s", 0)],
)  # fmt: skip
def test_a_duration_is_read_as_seconds(written: Json, seconds: float) -> None:
    assert math.isclose(parse_duration(written), seconds)


@pytest.mark.parametrize(
    "written",
    ["fast", "", "5", "-5s", "5 s", "s", "30m1h", "1s1s", "1e3s", "٣s", "5S", None, True, [], {}, -1, math.nan,
     math.inf, "99999d", "9" * 100 + "s", 10**400],
)  # fmt: skip
def test_what_is_no_duration_is_refused(written: Json) -> None:
    with pytest.raises(ValueError, match="expected a duration"):
        parse_duration(written)


@given(st.integers(0, int(MAX_SECONDS * 1_000_000)))
def test_a_written_duration_is_read_back(microseconds: int) -> None:
    assert round(parse_duration(format_duration(microseconds / 1_000_000)) * 1_000_000) == microseconds


@pytest.mark.parametrize(("seconds", "text"), [(0, "0s"), (90, "1m30s"), (0.5, "500ms"), (86_400, "1d")])
def test_a_duration_is_written_short(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("written", "size"),
    [("64KiB", 65_536), ("10MB", 10_000_000), ("1.5 GiB", 1_610_612_736), ("100B", 100), (7, 7), ("7", 7)],
)
def test_a_size_is_read_as_bytes(written: Json, size: int) -> None:
    assert parse_size(written) == size


@pytest.mark.parametrize("written", ["big", "-1B", "1XB", "", None, True, -1, 1.5, "9" * 400, "999999999999GiB"])
def test_what_is_no_size_is_refused(written: Json) -> None:
    with pytest.raises(ValueError, match="expected a size"):
        parse_size(written)


def test_a_size_is_written_for_people() -> None:
    assert [format_size(size) for size in (0, 1023, 1536, 64 * 2**20)] == ["0B", "1023B", "1.5KiB", "64MiB"]

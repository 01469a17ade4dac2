import math
from fractions import Fraction

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


UNITS = {"w": 604_800, "d": 86_400, "h": 3600, "m": 60, "s": 1, "ms": Fraction(1, 1000), "us": Fraction(1, 1_000_000)}
amounts = st.integers(0, 500).map(str) | st.decimals(0, 500, places=3).map(str)


@given(st.dictionaries(st.sampled_from(list(UNITS)), amounts, min_size=1))
def test_a_duration_is_the_sum_of_its_parts(parts: dict[str, str]) -> None:
    written = "".join(f"{parts[unit]}{unit}" for unit in UNITS if unit in parts)
    exact = sum(Fraction(amount) * UNITS[unit] for unit, amount in parts.items())
    if exact > MAX_SECONDS:
        with pytest.raises(ValueError, match="expected a duration"):
            parse_duration(written)
    else:
        assert math.isclose(parse_duration(written), exact, rel_tol=1e-12, abs_tol=1e-12)
        assert abs(parse_duration(format_duration(parse_duration(written))) - exact) <= Fraction(1, 1_000_000)


@given(st.permutations(list(UNITS)), st.integers(2, 7))
def test_units_go_from_large_to_small(order: list[str], count: int) -> None:
    used = order[:count]
    written = "".join(f"1{unit}" for unit in used)
    if used == sorted(used, key=list(UNITS).index):
        assert parse_duration(written) > 0
    else:
        with pytest.raises(ValueError, match="from large to small"):
            parse_duration(written)


@given(st.text("0123456789.wdhmsu +-e٣", max_size=20) | st.text(max_size=20) | st.floats() | st.integers())
def test_anything_is_a_duration_within_bounds_or_refused(written: Json) -> None:
    try:
        seconds = parse_duration(written)
    except ValueError:
        return
    assert 0 <= seconds <= MAX_SECONDS


@given(st.text("0123456789.kKMGiB ٣", max_size=14) | st.text(max_size=20) | st.floats() | st.integers())
def test_anything_is_a_size_within_bounds_or_refused(written: Json) -> None:
    try:
        size = parse_size(written)
    except ValueError:
        return
    assert 0 <= size < 2**53
    assert parse_size(size) == size


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

import re

from hypothesis import given
from hypothesis import strategies as st

from plugins.llm.local.numerals import between


def matches(least: int, most: int, text: str) -> bool:
    pattern = "|".join(between(least, most)).replace('"', "").replace(" ", "")
    return re.fullmatch(pattern, text) is not None


@given(st.integers(-2000, 2000), st.integers(-2000, 2000), st.integers(-2500, 2500))
def test_exactly_the_numbers_between_the_bounds_are_matched(one, other, number):
    least, most = sorted((one, other))
    assert matches(least, most, str(number)) == (least <= number <= most)


@given(st.integers(-(10**15) + 1, 10**15 - 1), st.integers(-(10**15) + 1, 10**15 - 1))
def test_the_bounds_themselves_are_matched(one, other):
    least, most = sorted((one, other))
    for number in (least, most):
        assert matches(least, most, str(number))
    for number in (least - 1, most + 1):
        assert not matches(least, most, str(number))


def test_no_leading_zeros():
    assert not matches(0, 100, "007")
    assert not matches(-5, 5, "-0")

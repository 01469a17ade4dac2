import fnmatch
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.file_patterns import check_directory, name_fits, parse_pattern

names = st.text("ab.", min_size=1, max_size=8)
wild = st.text("ab.*?", min_size=1, max_size=8)


@given(wild, names)
def test_a_name_fits_as_in_a_shell(pattern: str, name: str) -> None:
    expected = fnmatch.fnmatchcase(name, pattern) and (pattern[0] == "." or name[0] != ".")
    assert name_fits(pattern, name) == expected


def test_many_wildcards_cost_no_more() -> None:
    assert not name_fits("*a" * 100 + "b", "a" * 255)


@given(
    st.lists(st.sampled_from(["a", "b", "*", "**", "?"]), min_size=1, max_size=5),
    st.lists(st.sampled_from("abc"), min_size=1, max_size=5),
)
def test_steps_fit_by_the_recursive_rule(pattern: list[str], steps: list[str]) -> None:
    def fits(left: list[str], names: list[str]) -> bool:
        if not left:
            return not names
        if left[0] == "**":
            return any(fits(left[1:], names[skipped:]) for skipped in range(len(names) + 1))
        return bool(names) and name_fits(left[0], names[0]) and fits(left[1:], names[1:])

    if pattern[-1] == "**":
        return
    parsed = parse_pattern("/".join(["top", *pattern]))
    assert parsed.base[0] == "top" if pattern else True
    rest = steps if len(parsed.base) == 1 else [*steps]
    fixed = [*parsed.base[1:]]
    expected = fits([*fixed, *parsed.rest], [*fixed, *rest])
    assert parsed.fits(tuple(rest)) == expected


@pytest.mark.parametrize(
    ("text", "base", "rest"),
    [
        ("a.csv", (), ("a.csv",)),
        ("in/a.csv", ("in",), ("a.csv",)),
        ("in/*.csv", ("in",), ("*.csv",)),
        ("/srv/in/**/x-?.json", ("srv", "in"), ("**", "x-?.json")),
        ("*/in/a", (), ("*", "in", "a")),
    ],
)
def test_a_pattern_has_a_fixed_beginning(text: str, base: tuple[str, ...], rest: tuple[str, ...]) -> None:
    parsed = parse_pattern(text)
    assert (parsed.base, parsed.rest, parsed.absolute) == (base, rest, text.startswith("/"))


@given(st.text("ab/.*?~\\\0\n", max_size=12))
def test_no_pattern_leads_upwards(text: str) -> None:
    try:
        parsed = parse_pattern(text)
    except ValueError:
        return
    steps = (*parsed.base, *parsed.rest)
    assert ".." not in steps
    assert PurePosixPath("/root", *steps).is_relative_to("/root")


@pytest.mark.parametrize("text", ["", "/", "a/../b", "..", "./a", "a//b", "~/a", "a\\b", "a\nb", "x*", "x" * 2000])
def test_what_is_no_directory_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"path|directory"):
        check_directory(text)

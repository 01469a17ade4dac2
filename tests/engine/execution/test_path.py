"""Reading the paths of nodes and bodies."""

import pytest

from engine.execution.path import BadPath, read_path


@pytest.mark.parametrize(
    ("text", "holder", "name", "suffix"),
    [
        ("fetch", "", "fetch", ""),
        ("scan[17]", "scan", "scan", "[17]"),
        ("scan[17]/fetch", "scan[17]", "fetch", ""),
        ("safe/try", "safe", "safe", "/try"),
        ("safe/try/risky", "safe/try", "risky", ""),
        ("scan/pages[0]", "scan", "scan", "/pages[0]"),
        ("scan/pages[0]/list", "scan/pages[0]", "list", ""),
        ("outer[2]/inner[0]/fetch", "outer[2]/inner[0]", "fetch", ""),
        ("a[1]/safe/catch/poll[3]/x", "a[1]/safe/catch/poll[3]", "x", ""),
    ],
)
def test_path_tells_where_it_stands(text, holder, name, suffix):
    path = read_path(text)

    assert (path.text, path.holder, path.name, path.suffix) == (text, holder, name, suffix)
    assert path.is_body is bool(suffix)
    assert path.prefix == (f"{holder}/" if holder else "")


@pytest.mark.parametrize("text", ["", "/", "a/", "A", "a[1]b", "a[x]", "a[1]/", "a/b/", "a//b", "[1]", "a b", "a[-1]"])
def test_what_is_no_path_is_refused_with_an_example(text):
    with pytest.raises(BadPath, match=r"it looks like fetch, scan\[17\]/fetch or safe/catch/notify"):
        read_path(text)


def test_iterations_are_told_from_pages_and_branches():
    assert [read_path(text).is_iteration for text in ("scan[1]", "scan/pages[1]", "safe/try")] == [True, False, False]

"""Numbers as small pictures."""

from agent.cli.bars import bar, sparkline


def test_a_bar_is_as_wide_as_asked_whatever_its_share():
    assert [bar(share, 4) for share in (0, 0.001, 0.5, 1, 2, -1)] == ["    ", "▏   ", "██  ", "████", "████", "    "]


def test_a_sparkline_has_a_column_for_each_value():
    assert sparkline([0, 1, 4, 8]) == " ▁▄█"
    assert sparkline([0, 0]) == "  "
    assert sparkline([]) == ""

import pytest

from agent.cli.models.progress import ProgressLine, parameters, size, told
from plugins.llm.files.download import Progress


def test_a_line_says_how_far_it_is_how_fast_and_how_long_it_takes() -> None:
    assert told(Progress("downloading", 1_300_000_000, 4_100_000_000), 12_400_000) == (
        "downloading  ███▏        32 %  1.3 GB of 4.1 GB  12.4 MB/s  3m46s left"
    )
    assert told(Progress("downloading", 1_300_000), 2000) == "downloading  1.3 MB  2 kB/s"
    assert told(Progress("checking", 0, 10), 0) == "checking               0 %  0 B of 10 B"


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (940_000, "940 kB"), (999_990, "1.0 MB"), (4_100_000_000, "4.1 GB")],
)
def test_sizes_are_said_as_people_say_them(count: int, text: str) -> None:
    assert size(count) == text


def test_parameters_are_counted_in_millions() -> None:
    assert [parameters(count) for count in (0, 1_016_960, 7_240_000_000)] == [
        "", "1.0 M parameters", "7.2 B parameters",
    ]  # fmt: skip


def test_where_nobody_looks_only_the_network_s_troubles_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    line = ProgressLine()
    line(Progress("downloading", 1, 2))
    line(Progress("the connection broke; again in 0.5 s", 1, 2))
    line(Progress("downloading", 2, 2))
    line.clear()
    assert capsys.readouterr().err == "the connection broke; again in 0.5 s\n"

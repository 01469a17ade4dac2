"""Command lines that are none, and what is said of them."""

import pytest


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("vesrion", "'version'"),
        ("Ps", "'ps'"),
        ("delpoy", "'deploy'"),
        ("hlep", "'help'"),
        ("models lsit", "'list'"),
        ("deadletters LIST", "'list'"),
        ("identity shwo", "'show'"),
        ("help delpoy", "'deploy'"),
    ],
)
def test_a_mistyped_command_is_told_which_one_was_meant(shell, line: str, meant: str) -> None:
    done = shell(*line.split())
    assert (done.code, done.out) == (2, "")
    assert f"Did you mean {meant}" in done.err


def test_a_word_that_is_like_none_gets_no_guess(shell) -> None:
    done = shell("xyzzy")
    assert done.code == 2
    assert "No such command 'xyzzy'." in done.err
    assert "Did you mean" not in done.err


@pytest.mark.parametrize(
    ("line", "instead"),
    [
        ("--data-dir X ps", "ps --data-dir X"),
        ("--data-dir=X --json show 1 -f", "show --data-dir=X --json 1 -f"),
        ("--data-dir run ps", "ps --data-dir run"),
        ("--json models list", "models list --json"),
        ("--json nonsense", "COMMAND --json"),
        ("deadletters --data-dir X list", "deadletters list --data-dir X"),
    ],
)
def test_options_before_the_command_are_told_where_they_go(shell, line: str, instead: str) -> None:
    done = shell(*line.split())
    assert (done.code, done.out) == (2, "")
    assert done.err == f"ganglion: options go behind the command: ganglion {instead}\n"


def test_an_option_of_no_command_stays_unknown(shell) -> None:
    done = shell("--nonsense", "ps")
    assert done.code == 2
    assert "No such option: --nonsense" in done.err


@pytest.mark.parametrize("words", [[], ["ps"], ["models"], ["models", "list"], ["fleet"]])
def test_help_is_a_word_too(shell, words: list[str]) -> None:
    done = shell("help", *words)
    assert (done.code, done.out) == (0, shell(*words, "--help").out)
    assert "Usage:" in done.out


def test_version_is_a_word_too(shell) -> None:
    assert shell("version").out == shell("--version").out
    assert shell("version", "--json").json == shell("--version", "--json").json

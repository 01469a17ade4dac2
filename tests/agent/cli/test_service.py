"""`install` and `uninstall`, as people say them; into the file system of an image."""

import pytest

UNIT = "etc/systemd/system/ganglion.service"


@pytest.fixture
def image(shell):
    """The root of an image."""
    root = shell.directory / "image"
    root.mkdir()
    return root


def test_the_unit_is_printed_and_nothing_else_done(shell) -> None:
    done = shell("install", "--print", "--program", "/usr/bin/ganglion")
    assert done.code == 0
    assert done.out.startswith("# Written by `ganglion install`")
    assert "ExecStart=/usr/bin/ganglion up" in done.out
    assert shell("install", "--print", "--init", "procd", "--program", "/usr/bin/ganglion").out.startswith("#!/bin/sh")


def test_it_is_installed_and_removed(shell, image) -> None:
    at = ("--root", image, "--program", "/usr/bin/ganglion")
    would = shell("install", *at, "--dry-run")
    assert would.out.splitlines() == [f"would write {image}/etc/ganglion/config.toml", f"would write {image}/{UNIT}"]
    assert not list(image.iterdir())

    done = shell("install", *at)
    assert done.code == 0, done.err
    assert done.out.splitlines() == [line.removeprefix("would ") for line in would.out.splitlines()]
    assert "systemctl enable ganglion" in done.err
    config = image / "etc/ganglion/config.toml"
    assert shell("doctor", "--config", config, "--data-dir", "data").code == 0

    again = shell("install", *at, "--json").json
    assert again["steps"] == []
    assert again["done"]

    assert shell("uninstall", "--root", image).code == 0
    assert not (image / UNIT).exists()
    assert config.exists()


def test_data_are_removed_only_with_a_word(shell, image) -> None:
    data = image / "var/lib/ganglion"
    data.mkdir(parents=True)
    refused = shell("uninstall", "--root", image, "--purge")
    assert refused.code == 2
    assert f"--purge removes {data}, with all that was ever done: say --yes" in refused.err
    assert data.exists()
    assert shell("uninstall", "--root", image, "--purge", "--yes").code == 0
    assert not data.exists()


def test_the_grace_time_of_the_configuration_counts(shell) -> None:
    config = shell.write("ganglion.toml", '[engine]\ngrace = "2m"\n')
    shown = shell("install", "--print", "--program", "/usr/bin/ganglion", "--config", config).out
    assert "TimeoutStopSec=140\n" in shown


def test_a_configuration_that_is_not_valid_is_refused(shell) -> None:
    config = shell.write("ganglion.toml", "[engine]\ngrce = 1\n")
    refused = shell("install", "--print", "--program", "/usr/bin/ganglion", "--config", config)
    assert refused.code == 2
    assert "did you mean engine.grace?" in refused.err or "did you mean grace?" in refused.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--memory", "lots"), "expected a size such as 512M or 2G"),
        (("--as", "A b"), "expected the name of a user"),
        (("--user", "--init", "sysv"), "--user is for systemd alone"),
        (("--program", "gone"), "name the executable with --program"),
    ],
)
def test_what_makes_no_sense_is_refused(shell, arguments, said) -> None:
    refused = shell("install", *arguments)
    assert refused.code == 2
    assert said in refused.err

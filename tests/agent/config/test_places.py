"""Where things are looked for when nobody says, and what is told where there is no place."""

import os
import pwd
from pathlib import Path

import pytest

from agent.config import InvalidConfig, load_config
from agent.config.places import default_cache_dir, default_data_dir, find_config, looked_for


@pytest.fixture
def stranger(monkeypatch: pytest.MonkeyPatch) -> None:
    """This user is not in /etc/passwd, as in many containers."""

    def unknown(uid: int) -> pwd.struct_passwd:
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    monkeypatch.setattr(pwd, "getpwuid", unknown)


def test_without_home_the_home_of_the_user_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    user = pwd.struct_passwd(("somebody", "x", 65534, 65534, "", str(tmp_path), "/bin/sh"))
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: user)
    monkeypatch.setattr("agent.config.places.SYSTEM_DATA", tmp_path / "none")
    assert default_data_dir({}) == tmp_path / ".local/share/ganglion"


@pytest.mark.usefixtures("stranger")
def test_without_any_home_a_data_directory_must_be_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("agent.config.places.SYSTEM_DATA", tmp_path / "none")
    with pytest.raises(InvalidConfig) as caught:
        load_config(environ={})
    assert caught.value.problems == [
        "this user has no home directory, and $HOME is not set: name a directory for the data with --data-dir, or "
        "set HOME"
    ]


@pytest.mark.usefixtures("stranger")
def test_without_any_home_a_named_data_directory_is_enough(tmp_path: Path) -> None:
    config, file = load_config(environ={}, flags={"--data-dir": ("data_dir", str(tmp_path))})
    assert (config.data_path, file) == (tmp_path, None)


@pytest.mark.usefixtures("stranger")
def test_without_any_home_the_system_s_configuration_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.touch()
    monkeypatch.setattr("agent.config.places.SYSTEM_CONFIG", file)
    assert find_config({}) == file


@pytest.mark.usefixtures("stranger")
def test_without_any_home_a_tilde_gets_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME")
    with pytest.raises(InvalidConfig) as caught:
        load_config(environ={}, flags={"--data-dir": ("data_dir", "~/data")})
    assert caught.value.problems == [
        "--data-dir: data_dir: ~/data: there is no home directory to put for ~: write the path in full"
    ]


@pytest.mark.usefixtures("stranger")
def test_a_service_s_cache_needs_no_home() -> None:
    assert default_cache_dir({"CACHE_DIRECTORY": "/var/cache/ganglion"}) == Path("/var/cache/ganglion")


def test_a_service_s_directories_go_before_the_user_s(tmp_path: Path) -> None:
    environ = {
        "HOME": "/home/ann", "STATE_DIRECTORY": "/var/lib/ganglion:/var/lib/more",
        "CONFIGURATION_DIRECTORY": str(tmp_path),
    }  # fmt: skip
    assert default_data_dir(environ) == Path("/var/lib/ganglion")
    (tmp_path / "config.toml").write_text('[agent]\nid = "kitchen"\n')
    config, file = load_config(environ=environ)
    assert (config.agent.id, file, config.data_dir) == ("kitchen", tmp_path / "config.toml", "/var/lib/ganglion")


def test_the_user_s_directories_are_those_of_xdg(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("agent.config.places.SYSTEM_DATA", tmp_path / "none")
    environ = {"HOME": "/home/ann", "XDG_DATA_HOME": "/d", "XDG_CACHE_HOME": "/c", "XDG_CONFIG_HOME": "/k"}
    assert default_data_dir(environ) == Path("/d/ganglion")
    assert default_cache_dir(environ) == Path("/c/ganglion")
    assert looked_for(environ) == [Path("/k/ganglion/config.toml"), Path("/etc/ganglion/config.toml")]
    relative = {"HOME": "/home/ann", "XDG_DATA_HOME": "d", "STATE_DIRECTORY": "s"}
    assert default_data_dir(relative) == Path("/home/ann/.local/share/ganglion")


def test_root_has_the_system_s_directory_where_it_was_made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("agent.config.places.SYSTEM_DATA", tmp_path)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert default_data_dir({"HOME": "/root"}) == tmp_path
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert default_data_dir({"HOME": "/home/ann"}) == Path("/home/ann/.local/share/ganglion")


@pytest.mark.skipif(os.geteuid() == 0, reason="root looks into every folder")
def test_a_home_that_can_t_be_looked_into_has_no_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("agent.config.places.SYSTEM_CONFIG", tmp_path / "none")
    closed = tmp_path / "another"
    closed.mkdir(mode=0)
    assert find_config({"HOME": str(closed)}) is None

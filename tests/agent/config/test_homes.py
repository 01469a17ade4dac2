"""A default data directory in the home of somebody else is refused to who would make it, and to nobody else."""

import os
import pwd
from pathlib import Path

import pytest

from agent.config import InvalidConfig, load_config
from tests.agent.conftest import Shell

ANN, BOB = 4242, 4243


@pytest.fixture(autouse=True)
def users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    names = {0: ("root", "/var/empty"), ANN: ("ann", str(tmp_path)), 65534: ("nobody", "/nonexistent")}

    def known(uid: int) -> pwd.struct_passwd:
        name, home = names[uid]
        return pwd.struct_passwd((name, "x", uid, uid, "", home, "/bin/sh"))

    monkeypatch.setattr(pwd, "getpwuid", known)
    monkeypatch.setattr("agent.config.places.SYSTEM_DATA", tmp_path / "none")
    monkeypatch.setattr("agent.config.places.SYSTEM_CONFIG", tmp_path / "none")


@pytest.fixture
def i_am(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """`i_am(user, owner)`: who this is, and whose the home is; `may_write` there?"""

    def set_up(user: int, owner: int, *, may_write: bool = True) -> None:
        real = Path.stat

        def stat(self: Path, **options: bool) -> os.stat_result:
            found = real(self, **options)
            return os.stat_result([*found[:4], owner, *found[5:]]) if self == tmp_path else found

        monkeypatch.setattr(Path, "stat", stat)
        monkeypatch.setattr(os, "geteuid", lambda: user)
        monkeypatch.setattr(os, "access", lambda path, mode: may_write)

    return set_up


def made(home: Path, **environ: str) -> Path:
    return load_config(environ={"HOME": str(home), **environ}, to_make=True)[0].data_path


def test_root_makes_no_data_directory_in_a_user_s_home(i_am, tmp_path: Path) -> None:
    i_am(0, ANN)
    with pytest.raises(InvalidConfig) as caught:
        made(tmp_path)
    assert caught.value.problems == [
        f"HOME is {tmp_path}, which belongs to ann, and this is root: what it made there ann could not use. "
        "Say `sudo -H`, or name a directory for the data with --data-dir"
    ]


def test_a_home_that_is_to_be_made_in_a_user_s_is_refused_too(i_am, tmp_path: Path) -> None:
    i_am(0, ANN)
    with pytest.raises(InvalidConfig, match="belongs to ann"):
        made(tmp_path / "new")
    with pytest.raises(InvalidConfig, match=r"^XDG_DATA_HOME is .*/share, which belongs to ann"):
        made(Path("/root"), XDG_DATA_HOME=str(tmp_path / "share"))


def test_who_only_looks_finds_the_user_s_directory(i_am, tmp_path: Path) -> None:
    i_am(0, ANN)
    config, _ = load_config(environ={"HOME": str(tmp_path)})
    assert config.data_path == tmp_path / ".local/share/ganglion"


def test_a_directory_that_was_named_is_never_refused(i_am, tmp_path: Path) -> None:
    i_am(0, ANN)
    data = tmp_path / ".local/share/ganglion"
    assert made(tmp_path, GANGLION_DATA_DIR=str(data)) == data
    assert made(tmp_path, STATE_DIRECTORY=str(data)) == data
    flags = {"--data-dir": ("data_dir", str(data))}
    assert load_config(environ={"HOME": str(tmp_path)}, flags=flags, to_make=True)[0].data_path == data
    (tmp_path / "config.toml").write_text(f'data_dir = "{data}"\n')
    config, _ = load_config(tmp_path / "config.toml", environ={"HOME": str(tmp_path)}, to_make=True)
    assert config.data_path == data


@pytest.mark.parametrize("owner", [0, 65534])
def test_a_home_of_root_or_of_nobody_known_is_used(i_am, tmp_path: Path, owner: int) -> None:
    i_am(0, owner)
    assert made(tmp_path)
    i_am(BOB, owner, may_write=False)
    assert made(tmp_path)


def test_the_user_s_own_home_may_belong_to_anybody(monkeypatch, i_am, tmp_path: Path) -> None:
    i_am(ANN, BOB, may_write=False)
    assert made(tmp_path)
    i_am(0, ANN)
    monkeypatch.setattr("agent.config.homes.ROOT_HOME", tmp_path)
    assert made(tmp_path)


def test_a_home_that_is_not_there_is_made(i_am) -> None:
    i_am(0, ANN)
    assert made(Path("/nowhere/at/all")) == Path("/nowhere/at/all/.local/share/ganglion")


def test_another_user_is_refused_only_where_it_can_t_write(i_am, tmp_path: Path) -> None:
    i_am(BOB, ANN)
    assert made(tmp_path)
    i_am(BOB, ANN, may_write=False)
    with pytest.raises(InvalidConfig, match="which belongs to ann, and this is user 4243"):
        made(tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a home to another user")
def test_root_is_refused_by_what_makes_and_answered_by_what_looks(shell: Shell) -> None:
    home = shell.directory / "ann"
    home.mkdir()
    os.chown(home, ANN, ANN)
    shell.environ["HOME"] = str(home)
    shell.write("m.gguf", "")
    for command in ("up --listen 127.0.0.1:0", "models add m.gguf", "restore m.gguf"):
        refused = shell(*command.split())
        assert (refused.code, refused.out) == (2, "")
        assert refused.err.startswith(f"ganglion: HOME is {home}, which belongs to user 4242, and this is root: ")
        assert refused.err.count("\n") == 1
    assert list(home.iterdir()) == []
    looked = shell("ps")
    assert looked.code == 3
    assert f"no agent has run on {home}/.local/share/ganglion" in looked.err
    os.chown(home, 0, 0)
    assert shell("restore", "m.gguf").code == 1

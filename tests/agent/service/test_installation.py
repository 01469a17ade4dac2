"""An installation in the file system of an image, and with a systemctl that writes down what it is told."""

import os
from pathlib import Path

import msgspec
import pytest

from agent.service.init_script import Init
from agent.service.installation import NotOurs, install, kept_places, uninstall, unit_path
from agent.service.step import Plan, Remove, Run, StepFailed, Write
from agent.service.unit import Service

SERVICE = Service(
    program=Path("/usr/bin/ganglion"), config=Path("/etc/ganglion/config.toml"), data_dir=Path("/var/lib/ganglion")
)
UNIT = "etc/systemd/system/ganglion.service"
SETTINGS = "# settings\n"


@pytest.fixture
def systemctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What was said to it, a line for each command."""
    said, program = tmp_path / "said", tmp_path / "bin/systemctl"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" >>{said}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return said


def test_an_image_gets_the_unit_and_a_configuration_and_no_command(tmp_path, systemctl) -> None:
    plan = install(SERVICE, Init.SYSTEMD, settings=SETTINGS, root=tmp_path)
    plan.take()
    assert (tmp_path / UNIT).stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "etc/ganglion/config.toml").read_text() == SETTINGS
    assert not systemctl.exists()
    assert plan.notes == (
        f"systemd does not run in {tmp_path}; once it does: systemctl daemon-reload && systemctl enable ganglion "
        "&& systemctl start ganglion",
    )


def test_the_second_time_nothing_is_written(tmp_path) -> None:
    install(SERVICE, Init.SYSTEMD, settings=SETTINGS, root=tmp_path).take()
    (tmp_path / "etc/ganglion/config.toml").write_text("# mine\n")
    assert install(SERVICE, Init.SYSTEMD, settings=SETTINGS, root=tmp_path).steps == ()


def test_where_systemd_runs_it_is_told(tmp_path, systemctl) -> None:
    install(SERVICE, Init.SYSTEMD, settings=SETTINGS, root=tmp_path, runs=True).take()
    assert systemctl.read_text().splitlines() == ["daemon-reload", "enable ganglion", "start ganglion"]
    systemctl.unlink()

    newer = msgspec.structs.replace(SERVICE, program=Path("/opt/ganglion"))
    plan = install(newer, Init.SYSTEMD, settings=SETTINGS, root=tmp_path, runs=True, start=True)
    assert str(plan.steps[0]) == f"replace {tmp_path / UNIT}"
    plan.take()
    assert systemctl.read_text().splitlines()[-1] == "restart ganglion"
    assert "ExecStart=/opt/ganglion up" in (tmp_path / UNIT).read_text()


def test_what_somebody_else_wrote_is_left_alone(tmp_path) -> None:
    unit = tmp_path / UNIT
    unit.parent.mkdir(parents=True)
    unit.write_text("[Service]\nExecStart=/bin/true\n")
    with pytest.raises(NotOurs, match="was not written by `ganglion install`: move it away first"):
        install(SERVICE, Init.SYSTEMD, settings=SETTINGS, root=tmp_path)
    with pytest.raises(NotOurs):
        uninstall(user=False, root=tmp_path)
    assert unit.exists()


def test_uninstalling_keeps_the_data_unless_told(tmp_path, systemctl) -> None:
    install(SERVICE, Init.SYSTEMD, settings=SETTINGS, root=tmp_path).take()
    private = tmp_path / "var/lib/private/ganglion"
    private.mkdir(parents=True)
    (private / "ganglion.db").write_text("x")
    (tmp_path / "var/lib/ganglion").symlink_to("private/ganglion")

    uninstall(user=False, root=tmp_path, runs=True).take()
    assert systemctl.read_text().splitlines() == ["disable --now ganglion", "daemon-reload"]
    assert not (tmp_path / UNIT).exists()
    assert (private / "ganglion.db").exists()

    uninstall(user=False, root=tmp_path, purge=True).take()
    assert not kept_places(user=False, root=tmp_path)
    assert not private.exists()
    assert uninstall(user=False, root=tmp_path).notes == ("no service is installed",)


@pytest.mark.parametrize("init", [Init.OPENRC, Init.PROCD, Init.SYSV])
def test_an_init_script_comes_and_goes(tmp_path, init) -> None:
    service = msgspec.structs.replace(SERVICE, user="ganglion")
    install(service, init, settings=SETTINGS, root=tmp_path).take()
    script = tmp_path / "etc/init.d/ganglion"
    assert script.stat().st_mode & 0o777 == 0o755
    assert install(service, init, settings=SETTINGS, root=tmp_path).steps == ()
    plan = uninstall(user=False, root=tmp_path, runs=True)
    stop = {Init.OPENRC: "rc-update del ganglion default", Init.PROCD: "/etc/init.d/ganglion disable",
            Init.SYSV: "update-rc.d ganglion remove"}[init]  # fmt: skip
    assert list(map(str, plan.steps)) == ["run /etc/init.d/ganglion stop", f"run {stop}", f"remove {script}"]


def test_a_users_own_unit_is_in_the_users_folder(tmp_path) -> None:
    assert unit_path(user=True, environ={"HOME": "/home/ann"}) == Path(
        "/home/ann/.config/systemd/user/ganglion.service"
    )
    own = msgspec.structs.replace(SERVICE, is_own=True)
    plan = install(own, Init.SYSTEMD, settings=SETTINGS, root=tmp_path, runs=True)
    runs = [str(step) for step in plan.steps if isinstance(step, Run)]
    assert runs == ["run systemctl --user daemon-reload", "run systemctl --user enable ganglion",
                    "run systemctl --user start ganglion"]  # fmt: skip
    assert any("enable-linger" in note for note in plan.notes)


def test_a_command_that_fails_says_so() -> None:
    with pytest.raises(StepFailed, match="false failed"):
        Plan((Run(("false",)),)).take()
    with pytest.raises(StepFailed, match="no-such-program failed"):
        Plan((Run(("no-such-program",)),)).take()


def test_a_file_that_can_not_be_written_says_so(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StepFailed, match=r"write .*: (Not a directory|File exists)"):
        Plan((Write(tmp_path / "file/unit", ""),)).take()


def test_what_is_gone_need_not_be_removed(tmp_path) -> None:
    Plan((Remove(tmp_path / "gone"),)).take()

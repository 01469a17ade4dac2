"""The Debian package: built from a small stand-in executable, installed, upgraded and removed by dpkg itself."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.service.unit import Service, systemd_unit

ROOT = Path(__file__).parents[2]
DEB = ROOT / "packaging/deb"
pytestmark = [
    pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg-deb is not installed"),
    pytest.mark.skipif(os.geteuid() != 0, reason="dpkg installs as root only"),
]
SERVICE = Service(
    program=Path("/usr/bin/ganglion"), config=Path("/etc/ganglion/config.toml"), data_dir=Path("/var/lib/ganglion")
)


def run(*arguments: object, **environ: str) -> str:
    done = subprocess.run(list(map(str, arguments)), capture_output=True, text=True, env=os.environ | environ)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def build(tmp_path: Path) -> Callable[..., Path]:
    """`build(version)` makes a package; its executable prints the unit as ours does."""
    unit = tmp_path / "unit"
    unit.write_text(systemd_unit(SERVICE))

    def built(version: str, folder: str = "dist") -> Path:
        executable = tmp_path / f"ganglion-{version}"
        executable.write_text(
            f'#!/bin/sh\n[ "$*" = "install --print --program /usr/bin/ganglion" ] && exec cat {unit}\necho {version}\n'
        )
        executable.chmod(0o755)
        said = run(DEB / "build.sh", executable, version, "all", tmp_path / folder, SOURCE_DATE_EPOCH="1790000000")
        return Path(said.strip())

    return built


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A file system that dpkg takes for a machine's."""
    root = tmp_path / "machine"
    for folder in ("var/lib/dpkg/info", "var/lib/dpkg/updates", "var/lib/dpkg/triggers"):
        (root / folder).mkdir(parents=True)
    for file in ("status", "available"):
        (root / "var/lib/dpkg" / file).touch()
    return root


def dpkg(machine: Path, *arguments: object) -> str:
    """As root calls it: with the system's own programs on the path."""
    return run(
        "dpkg", f"--root={machine}", "--force-script-chrootless", "--force-depends", "--force-confold", *arguments,
        PATH=f"{os.environ['PATH']}:/usr/local/sbin:/usr/sbin:/sbin",
    )  # fmt: skip


def test_what_the_package_holds(build) -> None:
    package = build("1.2.3")
    assert package.name == "ganglion_1.2.3_all.deb"
    assert run("dpkg-deb", "--field", package, "Version").strip() == "1.2.3"
    assert int(run("dpkg-deb", "--field", package, "Installed-Size")) > 0
    listed = {(line.split()[5], line.split()[0], line.split()[1]) for line in
              run("dpkg-deb", "--contents", package).splitlines()}  # fmt: skip
    assert {
        ("./usr/bin/ganglion", "-rwxr-xr-x", "root/root"),
        ("./usr/share/man/man1/ganglion.1.gz", "-rw-r--r--", "root/root"),
        ("./usr/share/doc/ganglion/changelog.gz", "-rw-r--r--", "root/root"),
        ("./usr/lib/systemd/system/ganglion.service", "-rw-r--r--", "root/root"),
        ("./etc/ganglion/config.toml", "-rw-r--r--", "root/root"),
        ("./usr/share/doc/ganglion/copyright", "-rw-r--r--", "root/root"),
    } <= listed
    assert not any("test" in path for path, _, _ in listed)


def test_the_same_input_gives_the_same_bytes(build) -> None:
    assert build("1.0").read_bytes() == build("1.0", "again").read_bytes()


def test_it_is_installed_upgraded_removed_and_purged(build, machine) -> None:
    dpkg(machine, "--install", build("1.0"))
    assert run(machine / "usr/bin/ganglion") == "1.0\n"
    unit = (machine / "usr/lib/systemd/system/ganglion.service").read_text()
    assert unit.startswith("# Of the package ganglion.")
    assert "Written by" not in unit
    assert "ExecStart=/usr/bin/ganglion up" in unit
    config = machine / "etc/ganglion/config.toml"
    config.write_text("# mine\n")
    data = machine / "var/lib/private/ganglion"
    data.mkdir(parents=True)

    dpkg(machine, "--install", build("1.1"))
    assert run(machine / "usr/bin/ganglion") == "1.1\n"
    assert config.read_text() == "# mine\n"

    dpkg(machine, "--remove", "ganglion")
    assert not (machine / "usr/bin/ganglion").exists()
    assert config.exists()
    assert data.exists()

    dpkg(machine, "--purge", "ganglion")
    assert not config.parent.exists()
    assert not data.exists()


SCENE = """\
mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system
PATH={folder}:$PATH
{deb}/postinst configure && echo - && {deb}/postinst configure 1.0 && echo - && {deb}/prerm upgrade 1.1 && echo - &&
{deb}/prerm remove && {deb}/postrm remove
"""
ENABLED = (
    "unmask ganglion.service\n--quiet was-enabled ganglion.service\nenable ganglion.service\n--system daemon-reload\n"
)


def test_systemd_is_told_of_each_step(tmp_path) -> None:
    for name in ("systemctl", "deb-systemd-helper", "deb-systemd-invoke"):
        (tmp_path / name).write_text('#!/bin/sh\necho "$@" >&2\n')
        (tmp_path / name).chmod(0o755)
    scene = SCENE.format(folder=tmp_path, deb=DEB)
    if subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode:
        pytest.skip("needs a mount namespace")
    # What a script throws away is to be seen here: its standard error.
    assert run("unshare", "-m", "sh", "-ec", f"exec 2>&1\n{scene}").split("-\n") == [
        f"{ENABLED}start ganglion.service\n",
        f"{ENABLED}try-restart ganglion.service\n",
        "",
        "stop ganglion.service\n--system daemon-reload\n",
    ]


REAL = os.environ.get("GANGLION_EXECUTABLE", "")


@pytest.mark.skipif(not REAL, reason="$GANGLION_EXECUTABLE names no executable")
def test_the_real_executable_is_installed_verified_and_purged(tmp_path: Path, machine: Path) -> None:
    cache = tmp_path / "cache"
    said = run(DEB / "build.sh", REAL, "0.1.0", "all", tmp_path, GANGLION_CACHE_DIR=cache)
    package = Path(said.strip())
    assert run("dpkg-deb", "--field", package, "Depends").startswith("libc6 (>= 2.")

    dpkg(machine, "--install", package)
    program, unit = machine / "usr/bin/ganglion", machine / "usr/lib/systemd/system/ganglion.service"
    assert run(program, "--version", GANGLION_CACHE_DIR=cache).startswith("ganglion 0.1.0\n")
    assert dpkg(machine, "--verify", "ganglion") == "", "the checksums that came with it"
    if shutil.which("systemd-analyze") is not None:
        unit.write_text(unit.read_text().replace("/usr/bin/ganglion", str(program)))  # as if the root were ours
        run("systemd-analyze", "verify", "--man=no", unit)

    dpkg(machine, "--remove", "ganglion")
    dpkg(machine, "--purge", "ganglion")
    left = [path for path in machine.rglob("*ganglion*") if "var/lib/dpkg" not in str(path)]
    assert left == []

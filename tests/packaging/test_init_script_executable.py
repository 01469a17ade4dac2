"""The init script of machines with BusyBox and nothing else, in a root of its own: its start-stop-daemon, its shell."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.packaging.equipment import FILE
from tests.packaging.machine import why_not
from tests.packaging.minimal_root import minimal_root

BUSYBOX = shutil.which("busybox")
USER = 10001
Inside = Callable[[str], "subprocess.CompletedProcess[str]"]
pytestmark = [
    pytest.mark.skipif(bool(why_not()), reason=why_not() or "-"),
    pytest.mark.skipif(BUSYBOX is None, reason="busybox is not installed"),
    pytest.mark.skipif(bool(os.environ.get("GANGLION_ROOT")), reason="the root is not ours to change"),
]
SCENE = """\
set -e
cd "$0"
mount --bind . . && cd "$0"
mount -t proc proc proc
mount -t tmpfs tmpfs tmp
for name in null zero random urandom; do touch dev/$name; mount --bind /dev/$name dev/$name; done
exec chroot . /bin/busybox sh -c "$1"
"""


@pytest.fixture
def inside() -> Iterator[Inside]:
    """Runs lines of a shell as root, in a machine that is off when they have ended."""
    folder = Path(tempfile.mkdtemp(prefix="ganglion-busybox-"))
    root = minimal_root(folder)
    for place in ("bin", "var/run", "var/log", "var/lib", "etc/init.d"):
        (root / place).mkdir(parents=True, exist_ok=True)
    assert BUSYBOX is not None
    shutil.copy(BUSYBOX, root / "bin/busybox")
    shutil.copy(FILE, root / "usr/bin/ganglion")
    (root / "etc/passwd").write_text(f"root:x:0:0:root:/:/bin/sh\nganglion:x:{USER}:{USER}::/nowhere:/bin/false\n")
    (root / "etc/group").write_text(f"root:x:0:\nganglion:x:{USER}:\n")

    def run(lines: str) -> "subprocess.CompletedProcess[str]":
        script = f"/bin/busybox --install -s /bin\nexport PATH=/bin:/usr/bin HOME=/\n{lines}"
        return subprocess.run(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", SCENE, root, script],
            capture_output=True, text=True, timeout=120, check=False, env={"PATH": os.environ["PATH"]},
        )  # fmt: skip

    yield run
    shutil.rmtree(folder)


LINES = """\
script=/etc/init.d/ganglion
answers() {
    for n in $(seq 300); do ganglion status --data-dir /var/lib/ganglion >/dev/null 2>&1 && return; usleep 100000; done
    echo never
}
ganglion install --init sysv --as ganglion --no-start 2>/dev/null
sed -i 's/^# listen = .*4222"/listen = "127.0.0.1:0"/' /etc/ganglion/config.toml
$script status
$script start; answers
$script start; $script status
pid=$(cat /var/run/ganglion.pid)
grep ^Uid: /proc/$pid/status
[ "$(cat /var/lib/ganglion/lock)" = $pid ] && echo one
kill -9 $pid
while kill -0 $pid 2>/dev/null; do usleep 10000; done
$script status
$script restart; answers
$script stop; $script status
ls -A /tmp
ganglion uninstall 2>/dev/null
ls -A /etc/init.d /var/lib
"""


def test_it_starts_one_agent_and_stops_it(inside: Inside) -> None:
    done = inside(LINES)
    assert done.stdout.splitlines() == [
        "write /etc/ganglion/config.toml", "write /etc/init.d/ganglion",
        "stopped", "running", f"Uid:\t{USER}\t{USER}\t{USER}\t{USER}", "one", "stopped", "stopped",
        "remove /etc/init.d/ganglion", "/etc/init.d:", "", "/var/lib:", "ganglion",
    ], done.stderr  # fmt: skip

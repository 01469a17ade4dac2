"""A root with nothing in it but glibc: no Python, no shell, no /usr/lib, no user but root, no certificates.

$GANGLION_ROOT names another one to try instead, such as what `debootstrap --variant=minbase` makes. It gets an empty
file PROGRAM and the folders HOME and DATA as places to mount on; nothing else in it is changed.
"""

import os
import shutil
from pathlib import Path

PROGRAM = "/usr/bin/ganglion"
HOME = "/home/somebody"
DATA = "/data"
LIBRARIES = (
    "libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1", "libutil.so.1", "libresolv.so.2",
    "libnss_files.so.2", "libnss_dns.so.2",
)  # fmt: skip
"""All of glibc that programs link with. From 2.34 on most of them are empty, but older programs name them."""


def minimal_root(folder: Path) -> Path:
    """Make one in `folder`; what $GANGLION_ROOT names otherwise."""
    given = os.environ.get("GANGLION_ROOT")
    root = Path(given).resolve() if given else folder
    for place in ("data", "home/somebody", "usr/bin", "var/tmp", "proc", "dev", "tmp", "etc"):
        (root / place).mkdir(parents=True, exist_ok=True)
    (root / PROGRAM[1:]).touch()
    root.chmod(0o755)
    if not given:
        (root / "etc/passwd").write_text("root:x:0:0:root:/:/usr/bin/ganglion\n")
        _copy_glibc(root)
    return root


def _copy_glibc(root: Path) -> None:
    """Of this machine. A loader looks into /lib, or into /lib64, without any configuration."""
    maps = Path("/proc/self/maps").read_text().split()
    source = next(Path(word).parent for word in maps if word.endswith("/libc.so.6"))
    loader = next(Path(word) for word in maps if word.rpartition("/")[2].startswith("ld-linux"))
    (root / "lib").mkdir()
    (root / "lib64").symlink_to("lib")
    for path in (loader, *(source / name for name in LIBRARIES)):
        shutil.copy(path, root / "lib" / path.name)

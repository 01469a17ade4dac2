"""Runs a command in a Debian of its own: how an executable is built for systems that are older than the building one.

sudo python3 packaging/in_root.py --suite bullseye --root build/roots/bullseye -- make package

What the suite has for building is installed the first time (`--install` adds packages) and stays in the folder of the
root, so that a command that is run again goes on where the last one was. The command sees the project as /ganglion,
read-only but for `build`, which belongs to the root, and `dist`, which is `--dist` of this machine.

The mounts live in a namespace of the command's: whatever ends it, nothing stays mounted. It needs debootstrap, and root
for that and chroot; another architecture needs qemu-user-static (binfmt) too. The root is no fence: do not run in it
what you would not run as root outside.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
MIRROR = "http://deb.debian.org"
PACKAGES = "ca-certificates cmake curl g++ gcc git libc6-dev libzstd-dev make patch pkg-config xz-utils"
"""What every build needs."""
PASSED = ("PIP_", "SOURCE_DATE_EPOCH", "http_proxy", "https_proxy", "no_proxy")
"""Which variables go into the root, by how they begin."""
ENTER = """
mount --make-rprivate /
mount -t proc proc "$ROOT/proc"
mount --rbind /dev "$ROOT/dev"
mount --bind "$PROJECT" "$ROOT/ganglion"
mount -o remount,bind,ro "$ROOT/ganglion"
mount --bind "$ROOT/build" "$ROOT/ganglion/build"
mount --bind "$DIST" "$ROOT/ganglion/dist"
exec chroot "$ROOT" sh -c 'cd /ganglion && exec "$@"' sh "$@"
"""
"""Of a shell in namespaces of its own."""
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
MACHINES = "/etc/ssl/machine.crt"
"""A copy of the machine's, for who looks into its TLS is known there. Never a mount of its folder: the packages of the
root write into theirs."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite", default="bullseye", help="whose glibc is the oldest that is needed (bullseye: 2.31)")
    parser.add_argument("--arch", default=_debian("--print-architecture"), help="as Debian calls it: amd64, arm64")
    parser.add_argument("--root", type=Path, help="where it lies; build/roots/SUITE-ARCH if not given")
    parser.add_argument("--dist", type=Path, default=PROJECT / "dist")
    parser.add_argument("--install", default="", help="more packages, with spaces between them")
    parser.add_argument("--mirror", default=MIRROR)
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("this needs root: debootstrap, mount and chroot are not for others")
    root: Path = (options.root or PROJECT / "build" / "roots" / f"{options.suite}-{options.arch}").resolve()
    make_root(root, options.suite, options.arch, options.mirror)
    options.dist.mkdir(parents=True, exist_ok=True)
    install(root, [*PACKAGES.split(), *options.install.split()], options.dist)
    return run(root, options.command, options.dist).returncode


def make_root(root: Path, suite: str, arch: str, mirror: str) -> None:
    """The smallest Debian that can install packages, with the suite's security updates. A half one is made anew."""
    done = root / "etc" / "ganglion-root"
    said = f"{suite} {arch}\n"
    if done.exists():
        if done.read_text() != said:
            sys.exit(f"{root} is {done.read_text().strip()}: name another folder with --root, or remove it")
        return
    subprocess.run(
        ["debootstrap", "--variant=minbase", f"--arch={arch}", "--include=ca-certificates", suite, str(root),
         f"{mirror}/debian"],
        check=True,
    )  # fmt: skip
    sources = root / "etc" / "apt" / "sources.list"
    sources.write_text(
        f"deb {mirror}/debian {suite} main\n"
        f"deb {mirror}/debian {suite}-updates main\n"
        f"deb {mirror}/debian-security {suite}-security main\n"
    )
    (root / "etc" / "apt" / "apt.conf.d" / "ganglion").write_text('APT::Install-Recommends "false";\n')
    (root / "root" / ".gitconfig").write_text("[safe]\n\tdirectory = /ganglion\n")  # it may be another user's
    for name in ("ganglion", "build"):
        (root / name).mkdir(exist_ok=True)
    done.write_text(said)


def install(root: Path, packages: list[str], dist: Path) -> None:
    """Nothing happens if they are there already."""
    there = subprocess.run(
        ["dpkg-query", f"--admindir={root}/var/lib/dpkg", "--show", "--showformat=${Package}\n"],
        capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    if missing := sorted(set(packages) - set(there)):
        for command in (
            ["apt-get", "update"],
            ["apt-get", "dist-upgrade", "-y"],
            ["apt-get", "install", "-y", *missing],
        ):
            if (code := run(root, command, dist).returncode) != 0:
                sys.exit(f"{' '.join(command)} in {root} ended with {code}")


def run(root: Path, command: list[str], dist: Path) -> subprocess.CompletedProcess[bytes]:
    """Run it in the root, in /ganglion. All its processes end with it, and with us: unshare itself takes no SIGTERM."""
    for path in (PROJECT / "build", PROJECT / "dist"):
        path.mkdir(exist_ok=True)  # mounts need a place
    for name in ("resolv.conf", "hosts"):
        (root / "etc" / name).write_bytes((Path("/etc") / name).read_bytes())
    (root / MACHINES[1:]).write_bytes(Path(CERTIFICATES).read_bytes())
    environment = {name: value for name, value in os.environ.items() if name.startswith(PASSED)} | {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/root",
        "LC_ALL": "C.UTF-8",
        "DEBIAN_FRONTEND": "noninteractive",
        "ROOT": str(root),
        "PROJECT": str(PROJECT),
        "DIST": str(dist.resolve()),
        **dict.fromkeys(("SSL_CERT_FILE", "PIP_CERT", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO"), MACHINES),
    }
    spaces = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child"]
    return subprocess.run([*spaces, "sh", "-euc", ENTER, "enter", *command], check=False, env=environment)


def _debian(question: str) -> str:
    return subprocess.run(["dpkg", question], capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())

"""Is a new executable fit to take the place of the one that runs? Nothing of it runs before its signature is good."""

import os
import platform
import re
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from agent.update.directory import Knowledge
from agent.update.program import architecture, is_installed_by_pip, outward
from agent.update.signature import Signature

ANSWER_SECONDS = 30.0
"""The first start of a packed file takes its time on a slow disk."""
_VERSION = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?(?:[-.]?(dev|a|alpha|b|beta|rc)\.?(\d*))?(?:\+.*)?")
_STAGES = {"dev": 0, "a": 1, "alpha": 1, "b": 2, "beta": 2, "rc": 3, None: 4}
_ELF = b"\x7fELF"
_MACHINES = {62: "x86_64", 183: "aarch64", 40: "armv7l", 243: "riscv64", 3: "i686"}
"""By their numbers in ELF files, as `uname -m` calls them."""
PACKAGE_FILES = Path("/var/lib/dpkg/info/ganglion.list")
"""What the Debian package has installed."""


class Unfit(Exception):
    """It may not take the place; the message says why, and what to do."""


def check_place(executable: Path) -> None:
    """Whether this file is ours to replace. Raises Unfit."""
    if is_installed_by_pip(executable):
        raise Unfit(f"{executable} belongs to a Python environment: update it with pip")
    with suppress(OSError):
        if str(executable) in PACKAGE_FILES.read_text().splitlines():
            raise Unfit(f"{executable} belongs to the Debian package ganglion: update that, with apt or dpkg")
    folder = executable.parent
    if not os.access(folder, os.W_OK | os.X_OK):
        raise Unfit(f"{folder} can't be written by this user or not at all: run this as root, or where it can be")


def check_machine(file: Path) -> None:
    """By what the file says of itself, first of all: is it for processors like this one? Raises Unfit, OSError."""
    with file.open("rb") as content:
        head = content.read(20)
    if head[:4] != _ELF:
        if head[:2] != b"#!":
            raise Unfit(f"{file.name} is no executable: name the one for {architecture()}")
        return
    number = int.from_bytes(head[18:20], "little" if head[5:6] == b"\1" else "big")
    machine = _MACHINES.get(number, f"another machine ({number})")
    if machine != platform.machine():
        raise Unfit(f"{file.name} is for {machine}, and this machine is {platform.machine()}: fetch the one for it")


def check_fit(file: Path, said: Signature, *, current: str, allow_downgrade: bool) -> None:
    """By what its signature says of it. Raises Unfit."""
    if said.name != file.name:
        raise Unfit(f"{file.name} was signed as {said.name}: give it that name again")
    if said.arch != architecture():
        raise Unfit(f"{said.name} is for {said.arch}, and this machine is {architecture()}: fetch the one for it")
    if order_of(said.version) < order_of(current) and not allow_downgrade:
        raise Unfit(
            f"{said.name} is {said.version}, older than {current}, which runs here: to go back to it all the same, "
            "say --allow-downgrade"
        )


def check_runs(file: Path, said: Signature) -> None:
    """`--version` must answer with the version that was signed. Raises Unfit."""
    try:
        done = subprocess.run(  # noqa: S603
            [file, "--version"], capture_output=True, text=True, timeout=ANSWER_SECONDS, check=False,
            stdin=subprocess.DEVNULL, env=outward(os.environ),
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise Unfit(f"{said.name} --version has not answered within {ANSWER_SECONDS:.0f} s: it does not run") from None
    except OSError as error:
        raise Unfit(f"{said.name} does not run here: {error.strerror or error}") from None
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise Unfit(f"{said.name} does not run here: --version ended with {done.returncode} ({last[:200]})")
    if said.version not in done.stdout.split():
        raise Unfit(
            f"{said.name} says {done.stdout.strip()[:80]!r} of itself, and its signature says {said.version}: ask "
            "whoever has signed it"
        )


def knowledge_of(file: Path, environ: Mapping[str, str]) -> Knowledge | None:
    """What it can read; None where it does not tell."""
    try:
        done = subprocess.run(  # noqa: S603
            [file, "self-update", "--about"], capture_output=True, timeout=ANSWER_SECONDS, check=True,
            stdin=subprocess.DEVNULL, env=environ,
        )  # fmt: skip
        return msgspec.json.decode(done.stdout, type=Knowledge)
    except (OSError, subprocess.SubprocessError, msgspec.DecodeError):
        return None


def order_of(version: str) -> tuple[int, ...]:
    """Something that compares as versions do; unreadable ones come first."""
    found = _VERSION.fullmatch(version)
    if found is None:
        return (-1,)
    major, minor, patch, stage, number = found.groups()
    return (int(major), int(minor), int(patch or 0), _STAGES[stage], int(number or 0))

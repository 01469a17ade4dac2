"""How an agent was started, seen from outside: what is needed to start another one like it."""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
import psutil

from agent.update.program import EXECUTABLE, outward
from agent.update.unit import NotOurs, unit_of


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """How an agent was started."""

    arguments: tuple[str, ...]
    """From `up` on."""
    directory: str
    unit: str
    """What starts and stops it, see `unit_of`; empty: nothing does."""
    environ: Mapping[str, str]
    is_mine: bool = True
    """Its user is who updates."""

    @property
    def asking(self) -> dict[str, str]:
        """The environment for questions to it: its settings, and our own places to unpack into. Another user's are not
        ours to write, and the HOME of a user whom systemd made up is /."""
        if self.is_mine:
            return dict(self.environ)
        config = self.environ.get("XDG_CONFIG_HOME") or f"{self.environ.get('HOME', '')}/.config"
        theirs = {name: text for name, text in self.environ.items() if name.startswith("GANGLION_")}
        theirs.pop("GANGLION_CACHE_DIR", None)
        return outward(os.environ) | {"XDG_CONFIG_HOME": config} | theirs


def seen(pid: int, executable: Path) -> Command:
    """How the agent with this process was started. Raises NotOurs."""
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            line, directory, environ = process.cmdline(), process.cwd(), process.environ()
            user = process.uids().effective
    except psutil.NoSuchProcess:
        raise NotOurs(f"the agent (process {pid}) ended just now: run this again") from None
    except psutil.AccessDenied:
        raise NotOurs(f"the agent (process {pid}) is another user's: run this as that user, or as root") from None
    if "up" not in line[1:]:
        raise NotOurs(f"process {pid} holds the data directory, but was not started with `up`: stop it first")
    if executable not in _files(pid, line, directory, environ):
        raise NotOurs(
            f"the agent (process {pid}) runs another executable than {executable}: update with that one, or stop the "
            "agent first"
        )
    return Command(
        arguments=tuple(line[line.index("up", 1) :]),
        directory=directory,
        unit=unit_of(pid, environ),
        environ=outward(environ),
        is_mine=user == os.geteuid(),
    )


@contextmanager
def outputs(pid: int) -> Iterator[tuple[int, int]]:
    """Where the agent writes its log, for the one that comes after it."""
    opened = [_output(pid, number) for number in (1, 2)]
    try:
        yield (opened[0], opened[1])
    finally:
        for descriptor in opened:
            os.close(descriptor)


def _files(pid: int, line: list[str], directory: str, environ: Mapping[str, str]) -> set[Path]:
    """The files that may be what a person calls the agent's executable."""
    found = {environ.get(EXECUTABLE, ""), shutil.which(line[0], path=environ.get("PATH")) or ""}
    found |= {text if "/" in text else "" for text in line[:2]}
    with suppress(OSError):
        found.add(str(Path(f"/proc/{pid}/exe").readlink()).removesuffix(" (deleted)"))
    return {(Path(directory) / text).resolve() for text in found if text}


def _output(pid: int, number: int) -> int:
    try:
        return os.open(f"/proc/{pid}/fd/{number}", os.O_WRONLY | os.O_APPEND | os.O_NOCTTY)
    except OSError:
        return os.open(os.devnull, os.O_WRONLY)

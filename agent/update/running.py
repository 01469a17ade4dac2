"""An agent seen from outside: how it was started, and how it is stopped, started and found to be well."""

import math
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
import psutil

from agent.lock import holder
from agent.ready import Ready, read_ready
from agent.service.init_script import PID_FILE, SCRIPT, is_ours
from agent.update.program import EXECUTABLE, outward

LOOK_SECONDS = 0.1
ANSWER_SECONDS = 20.0
STOP_SECONDS = 20.0
"""Beyond the agent's own grace time; then it is told again, then killed: it goes on from its checkpoints."""
SICK_SECONDS = 5.0
"""The same, of one that is not well."""
SYSTEMCTL_SECONDS = 90.0


class NotOurs(Exception):
    """The agent that runs can't be stopped and started again by us; the message says why, and what to do."""


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """How an agent was started."""

    arguments: tuple[str, ...]
    """From `up` on."""
    directory: str
    unit: str
    """The service of systemd that it is; empty: none."""
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
        unit=_unit(pid, environ),
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


def stop(data_dir: Path, *, unit: str, grace: float, is_sick: bool = False) -> None:
    """Let the agent end, and wait until the data directory is free; a sick one is given less time. Raises NotOurs."""
    if unit:
        _control("stop", unit, grace + SYSTEMCTL_SECONDS)
    for how, patience in (
        (signal.SIGTERM, SICK_SECONDS if is_sick else grace + STOP_SECONDS),
        (signal.SIGTERM, SICK_SECONDS if is_sick else STOP_SECONDS),
        (signal.SIGKILL, STOP_SECONDS),
    ):
        pid = holder(data_dir)
        if pid is None:
            return
        with suppress(ProcessLookupError):
            try:
                os.kill(pid, how)
            except PermissionError:
                raise NotOurs(f"process {pid} is another user's: run this as that user, or as root") from None
        if _until(lambda: holder(data_dir) is None, patience):
            return
    raise NotOurs(f"process {holder(data_dir)} does not end: see what holds it, then ganglion self-update --resume")


def end(child: "subprocess.Popen[bytes]") -> None:
    """End a process that may have come to hang before it took the data directory."""
    child.terminate()
    try:
        child.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def started_by_another(data_dir: Path, command: Command, *, within: float) -> bool:
    """Whether somebody else has started the agent, or does in this time: a supervisor starts again what has ended, and
    an agent of ours beside it would run where nobody watches over it."""
    since = time.time() - within
    return _until(lambda: holder(data_dir) is not None or _are_starting(command, since), within)


def wait_for_late_ones(command: Command, *, since: float) -> None:
    """Agents that a supervisor has started since may not have come to the lock of the data directory: they are of the
    executable that was there then. The caller holds the lock, so that they end. `since` is in seconds since 1970."""
    now = time.time()
    _until(lambda: not _are_starting(command, since, now), STOP_SECONDS)


def start(executable: Path, command: Command, streams: tuple[int, int] | None) -> "subprocess.Popen[bytes] | None":
    """Start an agent that outlives this process. None: its service was told to. Raises NotOurs."""
    if command.unit:
        _control("start", command.unit, SYSTEMCTL_SECONDS)
        return None
    out, err = streams or (subprocess.DEVNULL, subprocess.DEVNULL)
    try:
        return subprocess.Popen(  # noqa: S603
            [executable, *command.arguments], cwd=command.directory, env=command.environ, stdin=subprocess.DEVNULL,
            stdout=out, stderr=err, start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        raise NotOurs(f"{executable} can't be started: {error.strerror or error}") from None


def illness(
    executable: Path, data_dir: Path, child: "subprocess.Popen[bytes] | None", command: Command, *,
    version: str, within: float, steady: float, on_trial: bool = False,
) -> str:  # fmt: skip
    """Why the agent of this version is not well; empty: it is ready within this time, and `steady` seconds later it
    still is, and answers. With `on_trial` it is enough that it could begin."""
    give_up = time.monotonic() + within
    why = f"it was not ready within {within:.0f} s"
    while time.monotonic() < give_up:
        # Another one may have been started by an update that was killed: whichever has the directory counts.
        if child is not None and child.poll() is not None and holder(data_dir) is None:
            return f"it ended with {child.returncode} instead of becoming ready"
        found = read_ready(data_dir)
        is_it = found is not None and found.pid == holder(data_dir) and found.version == version
        if found is not None and is_it and (on_trial or not found.trial):
            if _until(lambda pid=found.pid: holder(data_dir) != pid, steady):  # type: ignore[misc]
                return f"it was ready, and ended within {steady:.0f} s"
            why = _no_answer(executable, data_dir, found, command)
            if not why:
                return ""
        time.sleep(LOOK_SECONDS)
    return why


def _no_answer(executable: Path, data_dir: Path, ready: Ready, command: Command) -> str:
    """What keeps `ganglion status` of the new version from an answer of this process."""
    if not ready.nats:  # commands can't reach it: to be ready is all that can be known
        return ""
    line = [str(executable), "status", "--json", "--data-dir", str(data_dir), *_config(command.arguments)]
    try:
        done = subprocess.run(  # noqa: S603
            line, capture_output=True, timeout=ANSWER_SECONDS, check=False, stdin=subprocess.DEVNULL,
            cwd=command.directory, env=command.asking,
        )  # fmt: skip
        answer = msgspec.json.decode(done.stdout) if done.returncode == 0 else {}
    except (OSError, subprocess.SubprocessError, msgspec.DecodeError) as error:
        return f"it does not say how it is: {error}"
    if done.returncode != 0:
        last = (done.stderr.decode(errors="replace").strip().splitlines() or ["nothing"])[-1]
        return f"it does not say how it is: {last[:300]}"
    return "" if answer.get("pid") == ready.pid else "another agent answers for it"


def _config(arguments: tuple[str, ...]) -> list[str]:
    """The agent's own --config."""
    for number, text in enumerate(arguments):
        if text.startswith("--config="):
            return [text]
        if text == "--config":
            return list(arguments[number : number + 2])
    return []


def _are_starting(command: Command, since: float, before: float = math.inf) -> bool:
    words = list(command.arguments)
    for process in psutil.process_iter(["cmdline", "create_time", "status"]):
        about = process.info
        is_new = since < about["create_time"] < before and about["status"] != psutil.STATUS_ZOMBIE
        if is_new and (about["cmdline"] or [])[-len(words) :] == words:
            return True
    return False


def _until(is_so: Callable[[], bool], seconds: float) -> bool:
    give_up = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > give_up:
            return False
        time.sleep(LOOK_SECONDS)
    return True


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


def _unit(pid: int, environ: Mapping[str, str]) -> str:
    """What starts and stops the agent if this is its main process: a service, as `systemctl` takes it, or our own init
    script of a system that starts nothing again."""
    with suppress(OSError):
        if PID_FILE.read_text().strip() == str(pid) and is_ours(SCRIPT):
            return str(SCRIPT)
    if "INVOCATION_ID" not in environ or shutil.which("systemctl") is None:
        return ""
    try:
        unit = unit_in(Path(f"/proc/{pid}/cgroup").read_text())
        main = _run("systemctl", "show", "--property", "MainPID", "--value", *unit.split()) if unit else ""
    except (OSError, NotOurs):
        return ""
    return unit if main == str(pid) else ""


def unit_in(cgroup: str) -> str:
    """The service that a process's control group belongs to; `--user` goes before one of a user's own. Empty: none."""
    group = (cgroup.splitlines() or [""])[-1].rpartition(":")[2]
    name = group.rpartition("/")[2]
    if not name.endswith(".service"):
        return ""
    if name.startswith("user@"):  # what somebody started by hand
        return ""
    return f"--user {name}" if "/user@" in group else name


def _control(verb: str, unit: str, seconds: float) -> None:
    if unit.startswith("/"):
        _run(unit, verb, seconds=seconds)
    else:
        _run("systemctl", verb, *(["--no-block"] if verb == "start" else []), *unit.split(), seconds=seconds)


def _run(*line: str, seconds: float = SYSTEMCTL_SECONDS) -> str:
    """What it said. Raises NotOurs."""
    try:
        done = subprocess.run(line, capture_output=True, text=True, timeout=seconds, check=False)  # noqa: S603
    except (OSError, subprocess.SubprocessError) as error:
        raise NotOurs(f"{' '.join(line)}: {error}") from None
    if done.returncode != 0:
        raise NotOurs(f"{' '.join(line)} ended with {done.returncode}: {done.stderr.strip()[:300]}")
    return done.stdout.strip()

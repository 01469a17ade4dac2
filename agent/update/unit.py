"""What starts and stops an agent that somebody else looks after: a service of systemd, or our own init script."""

import shutil
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from agent.service.init_script import PID_FILE, SCRIPT, is_ours

SECONDS = 90.0
"""That systemctl or the script may take, beyond what the agent does."""


class NotOurs(Exception):
    """The agent that runs can't be stopped and started again by us; the message says why, and what to do."""


def unit_of(pid: int, environ: Mapping[str, str]) -> str:
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


def control(verb: str, unit: str, seconds: float = SECONDS) -> None:
    """Have it started or stopped. Raises NotOurs."""
    if unit.startswith("/"):
        _run(unit, verb, seconds=seconds)
    else:
        _run("systemctl", verb, *(["--no-block"] if verb == "start" else []), *unit.split(), seconds=seconds)


def _run(*line: str, seconds: float = SECONDS) -> str:
    """What it said. Raises NotOurs."""
    try:
        done = subprocess.run(line, capture_output=True, text=True, timeout=seconds, check=False)  # noqa: S603
    except (OSError, subprocess.SubprocessError) as error:
        raise NotOurs(f"{' '.join(line)}: {error}") from None
    if done.returncode != 0:
        raise NotOurs(f"{' '.join(line)} ended with {done.returncode}: {done.stderr.strip()[:300]}")
    return done.stdout.strip()

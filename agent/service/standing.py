"""Does the agent run as a service, and where are its things? What `ganglion doctor` and `ganglion status` say of it."""

import os
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from agent.config.errors import NoHome
from agent.config.places import SYSTEM_DATA, default_cache_dir
from agent.finding import Finding, Verdict
from agent.service.installation import PACKAGED_UNIT, SYSTEM_CACHE, unit_path
from agent.service.unit import NAME
from agent.status import Supervision

HUNGRY = 1.0
"""A share of the watchdog's time; a sign of life that is older has not come in time."""


def examine_service(pid: int | None, supervision: Supervision | None) -> Finding:
    """How the agent of this directory is looked after: the one that runs, or the one that could."""
    unit = unit_of(pid) if pid is not None else None
    installed = _installed()
    if supervision is not None:
        by = f"systemd runs it as {unit}" if unit else "a supervisor runs it"
        late = supervision.watchdog and (supervision.fed is None or supervision.fed > HUNGRY * supervision.watchdog)
        if late:
            return Finding("service", Verdict.WARN, f"{by}; {watched(supervision)}", "see its log: what holds it up?")
        return Finding("service", Verdict.OK, f"{by}; {watched(supervision)}")
    if pid is None and installed is not None:
        control = ("systemctl",) if installed in (unit_path(), PACKAGED_UNIT) else ("systemctl", "--user")
        if _answers(*control, "is-active", "--quiet", NAME):
            there = "it has data of its own: sudo ganglion doctor"
            return Finding("service", Verdict.OK, f"{installed} runs, and not in this data directory", there)
        return Finding(
            "service", Verdict.WARN, f"{installed} is installed, but does not run", f"{' '.join(control)} start {NAME}"
        )
    if unit:
        return Finding("service", Verdict.OK, f"{unit} runs it, without a word from it", "Type=notify has a watchdog")
    if pid is not None:
        found = "the agent was started by hand"
        return Finding("service", Verdict.OK, found, "" if installed else "to have it at each boot: ganglion install")
    return Finding("service", Verdict.OK, "not installed", "to have an agent at each boot: ganglion install")


def _installed() -> Path | None:
    """The unit that is there: the system's, the package's, this user's."""
    places = [unit_path(), PACKAGED_UNIT]
    with suppress(NoHome):
        places.append(unit_path(user=True))
    return next((path for path in places if os.path.isfile(path)), None)  # noqa: PTH113  # a home may be another's


def _answers(*arguments: str) -> bool:
    """Whether a program says yes."""
    try:
        return subprocess.run(arguments, capture_output=True, timeout=10, check=False).returncode == 0  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return False


def watched(supervision: Supervision) -> str:
    """The watchdog's state in words."""
    if not supervision.watchdog:
        return "supervised, without a watchdog"
    fed = "not fed yet" if supervision.fed is None else f"fed {supervision.fed:.0f}s ago"
    return f"watchdog of {supervision.watchdog:g}s, {fed}"


def places(data_path: Path, environ: Mapping[str, str] = os.environ, pid: int | None = None) -> Finding:
    """Where data, cache and logs are."""
    unit = unit_of(pid) if pid is not None else None
    logs = f"journalctl -u {unit.removesuffix('.service')}" if unit else "standard error of the agent"
    given = environ.get("GANGLION_CACHE_DIR")
    try:
        if given and not unit:
            cache = given
        else:
            cache = str(SYSTEM_CACHE if unit and data_path == SYSTEM_DATA else default_cache_dir(environ))
    except NoHome:
        cache = "none, since this user has no home directory"
    return Finding("places", Verdict.OK, f"data {data_path}; cache {cache}; logs: {logs}")


def unit_of(pid: int) -> str | None:
    """The systemd service that a process belongs to, by its control group."""
    try:
        lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        last = line.rpartition(":")[2].rpartition("/")[2]
        if last.endswith(".service") and not last.startswith("user@"):
            return last
    return None

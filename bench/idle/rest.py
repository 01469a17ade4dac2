"""One look at programs that do nothing: for so long, all at the same time."""

import time
from collections.abc import Mapping

import msgspec

from idle.process import Counted, counted, resident_bytes

MEGABYTE = 1_000_000
HOUR_SECONDS = 3600.0


class Program(msgspec.Struct, frozen=True):
    """Processes that belong together."""

    pid: int
    server: int | None = None
    """Its NATS server, counted apart and together."""


class Rest(msgspec.Struct, frozen=True):
    """What one took."""

    megabytes: float
    server_megabytes: float | None
    cpu_percent: float
    """Of one core; with the server."""
    wakeups: float
    """A second, of all threads; without the server."""
    server_wakeups: float | None
    bytes_an_hour: float
    """Written for the disk; with the server."""
    start_kilobytes: float
    """The same from the start up to the look: what a start, and the housekeeping after it, cost once."""


def at_rest(programs: Mapping[str, Program], seconds: float) -> dict[str, Rest]:
    """Look at them before and after so many seconds."""
    began = time.monotonic()
    before = {name: (counted(program.pid), _of_server(program)) for name, program in programs.items()}
    time.sleep(seconds)
    found: dict[str, Rest] = {}
    for name, program in programs.items():
        agent = counted(program.pid).since(before[name][0])
        server = _of_server(program).since(before[name][1])
        passed = time.monotonic() - began
        is_there = program.server is not None
        found[name] = Rest(
            megabytes=resident_bytes(program.pid) / MEGABYTE,
            server_megabytes=resident_bytes(program.server) / MEGABYTE if program.server is not None else None,
            cpu_percent=100 * (agent.cpu_seconds + server.cpu_seconds) / passed,
            wakeups=agent.wakeups / passed,
            server_wakeups=server.wakeups / passed if is_there else None,
            bytes_an_hour=(agent.written + server.written) * HOUR_SECONDS / passed,
            start_kilobytes=sum(count.written for count in before[name]) / 1000,
        )
    return found


def _of_server(program: Program) -> Counted:
    return counted() if program.server is None else counted(program.server)

"""An agent whose data directory was cloned: two processes under one id would both do everything.

Whoever finds a living twin, and is the later of the two, refuses to run and writes that into its directory, so that
each next start refuses too, until somebody says what is right: `ganglion identity new` or `ganglion identity keep`.

A directory that is not where it was (fingerprint.py) is looked at before anything runs; one that was copied bit by bit
is found by its beats while it runs (presence.py).
"""

import asyncio
import logging
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from agent.fleet.fingerprint import NOWHERE, fingerprint, is_where_it_was, keep
from engine.clock import SystemClock, format_time
from engine.whole_file import write_whole
from mesh.errors import MeshError
from mesh.presence.beat import MISSED_BEATS, Beat

if TYPE_CHECKING:  # the command line reads what is remembered, and shall not load the engine and NATS for it
    from agent.mesh_wiring import Mesh
    from mesh.connection import Connection, Link

FILE = "twin.json"
REACH_SECONDS = 15.0
"""How long a start with a suspicion waits for the server where the other agents are."""
LOOKS = 3
"""So many times as long as a look takes: links may break in between."""
_log = logging.getLogger("ganglion.agent")


class TwinLives(MeshError):
    """Another process runs under this agent's id; the message says both ways out."""


class Twin(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of it: kept in the data directory until somebody decides."""

    agent: str
    host: str = ""
    instance: str = ""
    started: str = ""
    found: str = ""
    """When, by our clock."""
    own_since: int = 0
    """What came at this time or later is this agent's own: it had run for a while. Microseconds; 0: it had not."""


def refuse_a_twin(data_dir: Path) -> None:
    """Raises TwinLives if one was found before and nobody has decided since."""
    if (twin := found_before(data_dir)) is not None:
        raise TwinLives(told(twin))


def found_before(data_dir: Path) -> Twin | None:
    """What an earlier start found."""
    try:
        return msgspec.json.decode((data_dir / FILE).read_bytes(), type=Twin)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError):
        return Twin(agent="")  # somebody wrote it: that alone says enough


def remember(data_dir: Path, other: Beat, *, own_since: int = 0) -> TwinLives:
    """Let each next start refuse; the error for this one."""
    twin = Twin(
        agent=other.agent, host=other.host, instance=other.instance, started=other.started,
        found=format_time(SystemClock().now()), own_since=own_since,
    )  # fmt: skip
    with suppress(OSError):  # a full disk: the next start finds it again
        write_whole(data_dir / FILE, msgspec.json.encode(twin) + b"\n")
    return TwinLives(told(twin))


def forget(data_dir: Path) -> None:
    """Somebody has decided. The next start looks around before anything runs, whatever was kept."""
    keep(data_dir, NOWHERE)
    (data_dir / FILE).unlink(missing_ok=True)


def told(twin: Twin) -> str:
    """Who it is, and both ways out."""
    where = f" on {twin.host}" if twin.host else ""
    since = f", started {twin.started[:19]}Z" if twin.started else ""
    return (
        f"another agent {twin.agent} is running{where}{since}: one data directory was copied from the other, or both "
        "have the same [agent] id, and two agents under one id would both do everything.\n"
        "Make this one an agent of its own: ganglion identity new\n"
        "Or stop the other one for good, and say so here: ganglion identity keep"
    )


async def rule_out_a_twin(data_dir: Path, mesh: "Mesh | None", *, tenant: str, agent: str, every: float) -> None:
    """Before anything runs: if the directory is not where it was, look whether its agent lives elsewhere.

    Raises TwinLives. Without an answer the start goes on, and the next one looks again.
    """
    if is_where_it_was(data_dir):
        keep(data_dir, fingerprint(data_dir))
        return
    if mesh is None or not mesh.is_shared:
        _log.warning("the data directory was moved or copied; there are no other agents here that this could disturb")
        keep(data_dir, fingerprint(data_dir))
        return
    _log.warning("the data directory was moved or copied: looking whether another agent %s runs", agent)
    look = _Look(mesh.fleet, tenant, agent, every)
    await look.around()
    if look.found is not None:
        raise remember(data_dir, look.found)
    if look.is_done:
        _log.warning("no other agent %s was found: the data directory stays here from now on", agent)
        keep(data_dir, fingerprint(data_dir))
    else:
        _log.warning("%s did not answer in time, so another agent %s may run; going on", mesh.fleet.servers, agent)


class _Look:
    """One look around, over a connection that nobody uses yet."""

    def __init__(self, fleet: "Connection", tenant: str, agent: str, every: float) -> None:
        self._fleet = fleet
        self._tenant = tenant
        self._agent = agent
        self._every = every
        self.is_done = False
        self.found: Beat | None = None

    async def around(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            connecting = tasks.create_task(self._fleet.run(), name="connection (looking for a twin)")
            with suppress(TimeoutError):
                async with asyncio.timeout(REACH_SECONDS):
                    await self._fleet.link()
                async with asyncio.timeout(REACH_SECONDS + LOOKS * MISSED_BEATS * self._every):
                    await self._fleet.serve(self._find, name="looking for a twin")
            connecting.cancel()

    async def _find(self, link: "Link") -> None:
        from mesh.presence.twins import find_twin

        self.found = await find_twin(link, self._tenant, self._agent, every=self._every)
        self.is_done = True

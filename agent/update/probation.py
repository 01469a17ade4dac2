"""What an agent does while it is on trial (hold.py): it is there, says how it is, and begins nothing.

No message is fetched, no schedule looked at, no execution gone on with, no fact sent, and no command carried out but
`status`.
"""

import asyncio
import logging
from collections.abc import Iterable
from contextlib import suppress

import msgspec

from agent import __version__
from agent.about import about
from agent.config import Config
from agent.mesh_wiring import CONNECT_SECONDS, Mesh
from agent.ready import FILE, Ready, announced
from agent.service.watchdog import Watchdog
from agent.update.hold import is_held, longest
from engine.control import Refused, Verb
from engine.engine import Engine
from mesh.service import ControlService

LOOK_SECONDS = 0.25
_log = logging.getLogger("ganglion.agent")


async def stand_trial(
    config: Config, engine: Engine, mesh: Mesh | None, verbs: Iterable[Verb], *,
    ready: Ready, watchdog: Watchdog, stop: asyncio.Event,
) -> None:  # fmt: skip
    """Return when the trial is over, takes longer than it may, or the agent is asked to stop."""
    async with asyncio.TaskGroup() as tasks:
        serving = [tasks.create_task(watchdog.run(), name="watchdog")]
        if mesh is not None:
            service = ControlService(
                mesh.connection, map(_held_back, verbs), tenant=engine.identity.tenant, agent=engine.identity.agent,
                version=__version__, metadata=about(config),
            )  # fmt: skip
            serving.append(tasks.create_task(mesh.connection.run(), name="connection"))
            serving.append(tasks.create_task(service.run(), name="service"))
            with suppress(TimeoutError):
                async with asyncio.timeout(CONNECT_SECONDS):
                    await service.ready.wait()
        with announced(msgspec.structs.replace(ready, trial=True), config.data_path / FILE):
            watchdog.ready("on trial after an update")
            _log.info("on trial: nothing is begun before the update has found this version well")
            now, give_up = engine.store.clock.monotonic, engine.store.clock.monotonic() + longest(config.data_path)
            while is_held(config.data_path) and not stop.is_set():
                if now() >= give_up:
                    _log.warning("the update that tries this version does not come to its end: work begins without it")
                    break
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_SECONDS):
                        await stop.wait()
        for task in reversed(serving):
            task.cancel()


def _held_back(verb: Verb) -> Verb:
    async def refuse(_: msgspec.Struct) -> msgspec.Struct:
        raise Refused(503, "this agent is on trial after an update and takes nothing in yet: try again in a moment")

    return verb if verb.name == "status" else msgspec.structs.replace(verb, handle=refuse)

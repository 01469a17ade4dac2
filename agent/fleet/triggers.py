"""Fleet triggers belong to the agent that records the fleet: there they are served, elsewhere refused with a remedy."""

import logging

from engine.control import Refused
from engine.definition.fleet import NEEDS_A_RECORD, FleetTrigger
from engine.engine import Engine
from engine.triggers.fleet import FleetRecord, Watcher
from engine.triggers.routes import Routes

__all__ = ["FleetTriggers"]

_log = logging.getLogger("ganglion.agent")


class FleetTriggers:
    """`follow` the routes at the start and after each deploy and undeploy; `run` does nothing without a record."""

    def __init__(self, engine: Engine, record: FleetRecord | None) -> None:
        self._watcher = (
            None if record is None else Watcher(engine.store, record, engine.executor, engine.identity)
        )  # fmt: skip
        self._idle: set[str] = set()
        """Workflows that were deployed while this agent recorded; they stay, and wait."""

    async def capture(self, routes: Routes) -> None:
        """Raise Refused for a workflow with a fleet trigger that is new here, if nothing is recorded."""
        for name in sorted(_watching(routes) - self._idle) if self._watcher is None else ():
            raise Refused(422, f"{name}: {NEEDS_A_RECORD}")

    async def follow(self, routes: Routes) -> None:
        """Serve the fleet triggers of the active workflows, or say that nobody does."""
        if self._watcher is not None:
            await self._watcher.follow(routes)
            return
        idle = _watching(routes)
        for name in sorted(idle - self._idle):
            _log.warning("%s: %s; until then it does not start by itself", name, NEEDS_A_RECORD)
        self._idle = idle

    async def run(self) -> None:
        """Start what the fleet asks for, until cancelled."""
        if self._watcher is not None:
            await self._watcher.run()


def _watching(routes: Routes) -> set[str]:
    return {
        name
        for name, active in routes.active.items()
        if any(isinstance(trigger, FleetTrigger) for trigger in active.workflow.triggers)
    }

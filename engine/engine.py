"""The engine of one agent, put together: definitions, executions, intake. Wiring only."""

import asyncio

from engine.contract import NodeTypes
from engine.execution.catalogue import Catalogue
from engine.execution.executor import Executor
from engine.execution.services import Services
from engine.store import Store


class Engine:
    """Built on an open store. `prepare`, then `run` until `drain`."""

    def __init__(self, store: Store, types: NodeTypes, services: Services) -> None:
        self.store = store
        self.types = types
        self.services = services
        self.catalogue = Catalogue(store, types)
        self.executor = Executor(store, self.catalogue, services)

    async def prepare(self) -> None:
        """Load the active definitions."""
        await self.catalogue.load()

    async def run(self) -> None:
        """Recover interrupted executions and run until `drain`."""
        await self.executor.run()

    def drain(self) -> None:
        """Stop taking work; `run` returns when attempts under way have ended."""
        self.executor.drain()


_ = asyncio

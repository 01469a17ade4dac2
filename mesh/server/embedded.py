"""The embedded server as the agent sees it: open it, and there is a NATS server until the block ends."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from mesh.credentials import Access, Credentials, new_password, read_access, write_access, write_private
from mesh.errors import ServerRefused
from mesh.server.binary import find_server
from mesh.server.child import Child, Log
from mesh.server.guard import Guard
from mesh.server.room import room
from mesh.server.settings import AGENT_USER, SYSTEM_USER, UPLINK_USER, Keys, Settings, check, render

_logger = logging.getLogger("ganglion.nats")
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.1, 5.0
CALM_SECONDS = 30.0
"""A server that ran this long is started again at once."""


class EmbeddedServer:
    """Keeps one nats-server running on a data directory. Made by `EmbeddedServer.open`."""

    def __init__(self, settings: Settings, guard: Guard, log: Log) -> None:
        self._settings = settings
        self._guard = guard
        self._log = log
        self._program = find_server()
        known = read_access(settings.data_dir)
        self.credentials = known.credentials if known else Credentials(user=AGENT_USER, password=new_password())
        uplink = known.hub.password if known and known.hub else new_password()
        self._keys = Keys(agent=self.credentials, anonymous=new_password(), uplink=uplink, system=new_password())
        self.uplink = Credentials(user=UPLINK_USER, password=self._keys.uplink)
        """Who we are beyond the leaf link, if there is a hub."""
        self.system = Credentials(user=SYSTEM_USER, password=self._keys.system)
        self._child: Child | None = None
        self.restarts = 0
        """How often it died and was started again."""
        self.url = ""
        """`nats://host:port`; stays the same when the server is started again."""
        self.mqtt = ""
        """`host:port` of the MQTT listener, or empty."""

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: Settings, *, log: Log | None = None) -> "AsyncIterator[EmbeddedServer]":
        """Start it, keep it running, stop it at the block's end.

        Raises ServerRefused: no program, an open listener without credentials, a port that is taken, or (InUse) a data
        directory that another agent uses. Must run on the main thread.
        """
        check(settings)
        guard = await Guard.acquire(settings.directory)
        try:
            server = cls(settings, guard, log or _logger.log)
            refused: ServerRefused | None = None
            async with asyncio.TaskGroup() as tasks:
                try:
                    await server._start(tasks)
                except ServerRefused as error:  # to be raised as itself, not in the group's wrapping
                    refused = error
                else:
                    keeping = tasks.create_task(server._keep(tasks), name="nats-server keeper")
                    try:
                        yield server
                    finally:
                        keeping.cancel()
                        await server._stop()
            if refused is not None:
                raise refused
        finally:
            guard.release()

    @property
    def pid(self) -> int | None:
        """The server's process, for resource figures and for tests that kill it."""
        return self._child.pid if self._child else None

    async def _start(self, tasks: asyncio.TaskGroup) -> None:
        config = self._settings.directory / "server.conf"
        write_private(config, render(self._settings, self._keys).encode())
        child = await Child.start(self._program, config, descriptor=self._guard.descriptor, log=self._log, tasks=tasks)
        self._child = child
        self._guard.write(child.pid)
        self.url, self.mqtt = f"nats://{child.clients}", child.mqtt
        # A port that was free is now ours: clients find the server there when it has to be started again.
        self._settings = msgspec.structs.replace(self._settings, listen=child.clients, mqtt=child.mqtt)
        hub = self._settings.hub
        access = Access(
            url=self.url,
            credentials=self.credentials,
            hub=self.uplink if hub else None,
            hub_api=hub.api if hub else "",
        )
        write_access(self._settings.data_dir, access)

    async def _stop(self) -> None:
        if self._child is not None:
            await self._child.stop()

    async def _keep(self, tasks: asyncio.TaskGroup) -> None:
        pause = FIRST_PAUSE_SECONDS
        loop = asyncio.get_running_loop()
        while self._child is not None:
            since = loop.time()
            status = await self._child.wait()
            if loop.time() - since > CALM_SECONDS:
                pause = FIRST_PAUSE_SECONDS
            if status is None:
                self._log(logging.ERROR, "nats-server can't write its store: it is started again when there is room")
                await room(self._settings.directory)
                self._log(logging.WARNING, "there is room for the store of nats-server, starting it again")
            else:
                self._log(logging.ERROR, f"nats-server ended (status {status}), starting it again in {pause:.1f} s")
            while True:
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
                try:
                    await self._child.stop()  # it may still run: the store is full, or a file could not be written
                    await self._start(tasks)
                except (ServerRefused, OSError) as error:
                    self._log(logging.ERROR, f"{error}; trying again in {pause:.1f} s")
                else:
                    self.restarts += 1
                    break

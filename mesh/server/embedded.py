"""The embedded server as the agent sees it: open it, and there is a NATS server until the block ends."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from mesh.address import shown
from mesh.credentials import Access, Credentials, new_password, read_access, write_access, write_private
from mesh.errors import InvalidAccess, ServerRefused
from mesh.key_files import Expiry, KeyFiles
from mesh.server.binary import find_server
from mesh.server.child import Child, Log
from mesh.server.guard import Guard
from mesh.server.remote import START, Remote, read_remote
from mesh.server.room import needing_room, room
from mesh.server.settings import AGENT_USER, INBOX, SYSTEM_USER, UPLINK_USER, Keys, Settings, check, render

_logger = logging.getLogger("ganglion.nats")
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.1, 5.0
WATCH_SECONDS = 1.0
"""How often the files that get us into the hub are looked at."""
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
        agent = known.credentials if known else Credentials(user=AGENT_USER, password=new_password())
        self.credentials = msgspec.structs.replace(agent, inbox=INBOX)
        uplink = known.hub.password if known and known.hub else new_password()
        self._keys = Keys(agent=self.credentials, anonymous=new_password(), uplink=uplink, system=new_password())
        self.uplink = Credentials(user=UPLINK_USER, password=self._keys.uplink)
        """Who we are beyond the leaf link, if there is a hub."""
        self.system = Credentials(user=SYSTEM_USER, password=self._keys.system)
        self._remote: Remote | None = None
        hub = settings.hub
        self._files = KeyFiles(hub.credentials, hub.tls) if hub else None
        self._child: Child | None = None
        self.restarts = 0
        """How often it died and was started again."""
        self.url = ""
        """`nats://host:port`; stays the same when the server is started again."""
        self.mqtt = ""
        """`host:port` of the MQTT listener, or empty."""

    @classmethod
    @asynccontextmanager
    async def open(
        cls, settings: Settings, *, log: Log | None = None, meanwhile: Callable[[], object] = lambda: None
    ) -> "AsyncIterator[EmbeddedServer]":
        """Start it, keep it running, stop it at the block's end. `meanwhile` is called while it reads its store.

        Raises ServerRefused: no program, an open listener without credentials, a port that is taken, a full disk, or
        (InUse) a data directory that another agent uses; InvalidAccess: credentials for the hub that can't be read.
        Must run on the main thread.
        """
        check(settings)
        with needing_room(settings.directory):
            guard = await Guard.acquire(settings.directory)
        try:
            server = cls(settings, guard, log or _logger.log)
            refused: ServerRefused | InvalidAccess | None = None
            async with asyncio.TaskGroup() as tasks:
                try:
                    with needing_room(settings.directory):
                        await server._start(tasks, meanwhile)
                except (ServerRefused, InvalidAccess) as error:  # to be raised as itself, not in the group's wrapping
                    refused = error
                else:
                    keeping = tasks.create_task(server._keep(tasks), name="nats-server keeper")
                    following = tasks.create_task(server._follow_files(), name="credentials for the hub")
                    try:
                        yield server
                    finally:
                        keeping.cancel()
                        following.cancel()
                        await server._stop()
            if refused is not None:
                raise refused
        finally:
            guard.release()

    @property
    def pid(self) -> int | None:
        """The server's process, for resource figures and for tests that kill it."""
        return self._child.pid if self._child else None

    @property
    def expires(self) -> float | None:
        """Until when the hub lets us in, in seconds since 1970; None: no hub, or for ever."""
        return self._remote.expires if self._remote else None

    def _read_remote(self) -> None:
        """Read how we get into the hub. Raises InvalidAccess, and leaves everything as it was."""
        hub = self._settings.hub
        if hub is not None and self._files is not None:
            self._files.taken()
            self._remote = read_remote(
                hub.url, hub.credentials, hub.tls, self._settings.directory, reconnect=hub.reconnect
            )

    def _write_config(self) -> Path:
        """Write what the server is to read."""
        directory = self._settings.directory
        copies = self._remote.files if self._remote else {}
        for path, content in copies.items():
            write_private(path, content)
        config = directory / "server.conf"
        write_private(config, render(self._settings, self._keys, self._remote).encode())
        return config

    async def _follow_files(self) -> None:
        """Bring renewed credentials for the hub into the server, without a restart."""
        if self._settings.hub is None or not self._files:  # nothing can change, and what has no file does not expire
            return
        where = f"the hub {shown(self._settings.hub.url)}"
        expiry = Expiry(where)
        while True:
            expiry.look(self.expires, time.time())
            await asyncio.sleep(WATCH_SECONDS)
            if not self._files.changed():
                continue
            try:
                self._read_remote()
            except InvalidAccess as error:
                self._log(logging.WARNING, f"the renewed credentials for {where} can't be used: {error}")
                continue
            self._write_config()
            self._log(logging.INFO, f"the credentials for {where} were renewed: a new link is made")
            if self._child is not None and not await self._child.reload():
                self._log(logging.WARNING, "this nats-server can't change its hub while it runs: it is started again")
                await self._child.stop()
            self._remove_old_copies()

    def _remove_old_copies(self) -> None:
        for path in self._settings.directory.glob(f"{START}*"):
            if self._remote is None or path not in self._remote.files:
                path.unlink(missing_ok=True)

    async def _start(self, tasks: asyncio.TaskGroup, meanwhile: Callable[[], object] = lambda: None) -> None:
        try:
            self._read_remote()
        except InvalidAccess as error:
            if self._remote is None:
                raise
            self._log(logging.WARNING, f"{error}; the credentials that were known before are used")
        config = self._write_config()
        self._remove_old_copies()
        child = await Child.start(
            self._program, config, descriptor=self._guard.descriptor, log=self._log, tasks=tasks, meanwhile=meanwhile
        )
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
                    if pause == LONGEST_PAUSE_SECONDS and not self._program.exists():
                        raise ServerRefused(
                            f"nats-server ended, and its program {self._program} was deleted: start the agent again, "
                            "which puts it back if it is part of the executable; else install it"
                        ) from None
                    self._log(logging.ERROR, f"{error}; trying again in {pause:.1f} s")
                else:
                    self.restarts += 1
                    break

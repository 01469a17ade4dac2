"""The connection to NATS: whatever happens to it, there will be a new one.

Each client lives for one connection. When it is lost a new client is made, and every user binds again: nothing is
replayed from a buffer behind our back, which would put a relayed fact in the wrong place of its stream, and no pull
stays silent because the server has forgotten it. The library's own reconnecting gives up for good on most errors of the
server, an expired credential among them; this never does.

Files of credentials are looked at all the time: when they are renewed, a new client is connected with what they hold
now, and only then takes the old one's place. If the server does not take them, everything stays as it is.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Protocol

from nats.js import JetStreamContext

from engine.signal import Signal
from mesh.address import shown
from mesh.credentials import Credentials, Tls
from mesh.errors import InvalidAccess, MeshError
from mesh.key_files import Expiry, KeyFiles
from mesh.nats_client import LOST, AnySubjectClient, connect, retire
from mesh.refusal import NotLetIn

__all__ = ["LOST", "Beyond", "Connection", "Link"]

_logger = logging.getLogger("ganglion.mesh")
WATCH_SECONDS = 1.0
"""The client's callbacks are hints: one that breaks while it closes never calls them. Looking is the truth."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.05, 5.0


class Beyond(Protocol):
    """What lies behind the server that a client is connected to: a hub at the other end of a leaf link."""

    name: str
    """What it is called when it can't be reached."""
    api: str
    """Where its JetStream is asked."""
    seconds: float
    """How often it is asked whether it is there."""

    async def probe(self, client: AnySubjectClient, *, first: bool) -> None:
        """Returns if it is there, and still the same as at the `first` probe of this client. Raises one of LOST."""
        ...


class Link:
    """One client that is or was connected. Never kept: ask the connection for the next one."""

    def __init__(self, number: int, client: AnySubjectClient) -> None:
        self.number = number
        """Counts up with each new client."""
        self.nc = client
        self.js: JetStreamContext = client.jetstream()
        self.lost = asyncio.Event()


class Connection:
    """Keeps one client connected; `run` is its service."""

    def __init__(
        self,
        servers: Sequence[str],
        *,
        credentials: Credentials,
        tls: Tls | None = None,
        name: str = "ganglion",
        inbox: str = "",
        beyond: Beyond | None = None,
    ) -> None:
        """`inbox`: what the inboxes of its clients begin with. `beyond`: what is reached through the server; there is
        a link only while that answers."""
        self._servers = list(servers)
        self._turn = 0
        """Which server of a cluster is next: those that do not answer are passed over."""
        self._credentials = credentials
        self._tls = tls
        self._name = name
        self._inbox = inbox
        self._files = KeyFiles(credentials, tls)
        self._expires: float | None = None
        self._next: AnySubjectClient | None = None
        """Connected with renewed credentials, to follow the one there is."""
        self._beyond = beyond
        self._expiry = Expiry(f"NATS at {self.servers}")
        self._link: Link | None = None
        self._connected = asyncio.Event()
        self._hint = Signal()
        self._problem: Exception | None = None
        self.number = 0
        """How many links there have been; `number - 1` is how often the connection was lost."""

    @property
    def is_connected(self) -> bool:
        return self._link is not None

    @property
    def servers(self) -> str:
        """Where it connects to, without what is secret in it."""
        if self._beyond is not None:
            return self._beyond.name
        return ", ".join(shown(server) for server in self._servers)

    def link_nowait(self) -> Link | None:
        """The link if there is one now."""
        return self._link

    async def link(self) -> Link:
        """The link, as soon as there is one."""
        while self._link is None:
            await self._connected.wait()
        return self._link

    @property
    def expires(self) -> float | None:
        """When the server ends, or has ended, the connection for its credentials' age, in seconds since 1970; None:
        never."""
        return self._expires

    async def run(self) -> None:
        """Connect, watch, connect again, until cancelled. Raises InvalidAccess for credentials that can't be read now;
        if that happens later, they are tried on."""
        self._credentials.check()
        if self._tls is not None:
            self._tls.context()
        loop, pause = asyncio.get_running_loop(), FIRST_PAUSE_SECONDS
        try:
            while True:
                client, self._next = self._next or await self._new_client(), None
                if self.number:
                    _logger.info("connected again to NATS at %s", self.servers)
                since = loop.time()
                await self._hold(client)
                # A server may let us in and end that at once, for instance with credentials that expire in this second.
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS) if loop.time() - since < pause else FIRST_PAUSE_SECONDS
                if pause > FIRST_PAUSE_SECONDS and self._next is None:
                    await self._rest(pause)
        finally:
            if self._next is not None:
                await retire(self._next)

    async def _new_client(self) -> AnySubjectClient:
        """Try until one is connected."""
        pause, quiet = FIRST_PAUSE_SECONDS, False
        while True:
            client = AnySubjectClient()
            try:
                await _apart(self._connect(client), "connecting to NATS")
            except (*LOST, InvalidAccess) as error:
                await retire(client)
                if not quiet:
                    _logger.warning("NATS at %s can't be reached: %s; trying on", self.servers, self._why(error))
                    quiet = True
                if await self._rest(pause * random.uniform(0.7, 1.3)):  # noqa: S311 - spreads agents, hides nothing
                    pause, quiet = FIRST_PAUSE_SECONDS, False
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
            except BaseException:
                await retire(client)
                raise
            else:
                return client

    async def _rest(self, seconds: float) -> bool:
        """A pause, which ends early when the files of the credentials are renewed; whether they were."""
        while seconds > 0:
            await asyncio.sleep(min(seconds, WATCH_SECONDS))
            if self._files.changed():
                return True
            seconds -= WATCH_SECONDS
        return False

    async def serve(self, work: Callable[[Link], Awaitable[None]], *, name: str) -> None:
        """Run `work` on each link: cancelled when the link is lost, begun again on the next, until it returns.

        Errors of the link and of the server's answers are absorbed here, with a pause; anything else is a bug of the
        work and is raised.
        """
        pause, said = FIRST_PAUSE_SECONDS, ""
        loop = asyncio.get_running_loop()
        while True:
            link = await self.link()
            since = loop.time()
            error = await _while_up(link, work, name)
            if error is None:
                if not link.lost.is_set():
                    return
                continue
            if not _is_absorbed(error):
                raise error
            if loop.time() - since > LONGEST_PAUSE_SECONDS:
                pause = FIRST_PAUSE_SECONDS
            if not link.lost.is_set():
                _logger.log(logging.DEBUG if str(error) == said else logging.WARNING, "%s: %s; trying on", name, error)
                said = str(error)
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    async def _hold(self, client: AnySubjectClient) -> None:
        self.number += 1
        link = self._link = Link(self.number, client)
        self._connected.set()
        try:
            await self._watch(client)
        finally:
            self._link = None
            self._connected.clear()
            link.lost.set()
            await retire(client)
        if self._next is not None:
            _logger.info("the credentials for NATS at %s were renewed: a new link takes over", self.servers)
        else:
            _logger.warning(
                "the connection to NATS at %s is lost: %s",
                self.servers, self._problem or client.last_error or "closed",
            )  # fmt: skip

    async def _watch(self, client: AnySubjectClient) -> None:
        """Until the connection, or what is beyond it, is lost, or a client with renewed credentials can follow."""
        loop = asyncio.get_running_loop()
        probed = loop.time()
        while client.is_connected:
            self._expiry.look(client.expires, time.time())
            await self._hint.wait(WATCH_SECONDS)
            if self._files.changed():
                self._next = await self._renewed()
                if self._next is not None:
                    return
            if self._beyond is not None and loop.time() - probed >= self._beyond.seconds:
                try:
                    await _apart(self._beyond.probe(client, first=False), "probing what is beyond")
                except LOST as error:
                    self._problem = error
                    return
                probed = loop.time()

    async def _renewed(self) -> AnySubjectClient | None:
        """A client that is connected with what the files hold now; None if that does not work."""
        client = AnySubjectClient()
        try:
            await _apart(self._connect(client), "connecting to NATS with renewed credentials")
        except (*LOST, InvalidAccess) as error:
            await retire(client)
            _logger.warning(
                "the renewed credentials for NATS at %s don't work: %s; the old connection stays while it can",
                self.servers, self._why(error),
            )  # fmt: skip
            return None
        except BaseException:
            await retire(client)
            raise
        return client

    async def _connect(self, client: AnySubjectClient) -> None:
        async def hint() -> None:
            self._hint.set()

        async def failed(error: Exception) -> None:
            self._problem = error
            self._hint.set()
            if client.is_connected:
                _logger.warning("NATS: %s", error)

        self._problem = None
        self._files.taken()
        server = self._servers[self._turn % len(self._servers)]
        self._turn += 1
        try:
            await connect(
                client, [server], self._credentials, self._tls, name=self._name, on_error=failed, on_close=hint,
                inbox=self._inbox,
            )  # fmt: skip
        finally:
            self._expires = client.expires
        self._turn -= 1  # this one is there
        if self._beyond is not None:
            client.api = self._beyond.api
            await self._beyond.probe(client, first=True)

    def _why(self, error: Exception) -> str:
        """The reason to show: ours where there is one, else what the client's callback was told."""
        known = isinstance(error, (NotLetIn, InvalidAccess))
        return str(error if known else self._problem or error) or type(error).__name__


def _is_absorbed(error: BaseException) -> bool:
    """Whether it comes from the link or the server. Work that has a task group raises its errors in a group."""
    if isinstance(error, BaseExceptionGroup):
        return all(_is_absorbed(one) for one in error.exceptions)
    return isinstance(error, (*LOST, MeshError))


async def _while_up(link: Link, work: Callable[[Link], Awaitable[None]], name: str) -> BaseException | None:
    """Run `work` until it ends or the link is lost; the error it ended with, if any."""

    async def body() -> None:
        await work(link)

    working = asyncio.create_task(body(), name=name)
    lost = asyncio.create_task(link.lost.wait(), name=f"{name}: watching its link")
    try:
        await asyncio.wait({working, lost}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        lost.cancel()
        await _end(working)
    return None if working.cancelled() else working.exception()


async def _end(task: "asyncio.Task[None]") -> None:
    """Cancel until it has ended: the library swallows a cancellation while it flushes, and so does `wait_for` of
    Python 3.11 when what it waits for comes at the same moment."""
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=WATCH_SECONDS)


async def _apart(work: Coroutine[None, None, None], name: str) -> None:
    """Run the library's work in a task of its own, so that our cancellation is not lost in it."""
    task = asyncio.create_task(work, name=name)
    try:
        await asyncio.wait({task})
    finally:
        await _end(task)
        if not task.cancelled():
            task.exception()  # seen, also where our own cancellation goes first
    task.result()

"""The connection to NATS: whatever happens to it, there will be a new one.

Each client lives for one connection. When it is lost a new client is made, and every user binds again: nothing is
replayed from a buffer behind our back, which would put a relayed fact in the wrong place of its stream, and no pull
stays silent because the server has forgotten it. The library's own reconnecting gives up for good on most errors of the
server, an expired credential among them; this never does.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from urllib.parse import urlsplit

import nats
import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext

from engine.signal import Signal
from mesh.credentials import Credentials, Tls
from mesh.errors import MeshError

_logger = logging.getLogger("ganglion.mesh")
PING_SECONDS = 10
"""A link that is half open is noticed after two pings without an answer."""
CONNECT_SECONDS = 5
CLOSE_SECONDS = 2.0
WATCH_SECONDS = 1.0
"""The client's callbacks are hints: one that breaks while it closes never calls them. Looking is the truth."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.05, 5.0
LOST = (nats.errors.Error, OSError, TimeoutError)
"""What work on a link raises when the link, or what is behind it, does not answer."""


class AnySubjectClient(Client):
    """A client that survives a subject which is not UTF-8. The library's reader dies of one, and as the message stays
    in its stream, so does each client after it (see test_a_subject_that_is_not_text_does_not_stop_the_intake)."""

    def _build_message(
        self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: dict[str, str] | None
    ) -> Msg:
        return self.msg_class(
            subject=subject.decode("utf-8", "surrogateescape"),
            reply=reply.decode("utf-8", "surrogateescape"),
            data=data,
            headers=headers,
            _client=self,
            _sid=sid,
        )


class Link:
    """One client that is or was connected. Never kept: ask the connection for the next one."""

    def __init__(self, number: int, client: Client) -> None:
        self.number = number
        """Counts up with each new client."""
        self.nc = client
        self.js: JetStreamContext = client.jetstream()
        self.lost = asyncio.Event()


class Connection:
    """Keeps one client connected; `run` is its service."""

    def __init__(
        self, servers: Sequence[str], *, credentials: Credentials, tls: Tls | None = None, name: str = "ganglion"
    ) -> None:
        self._servers = list(servers)
        self._credentials = credentials
        self._tls = tls
        self._name = name
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
        return ", ".join(shown(server) for server in self._servers)

    def link_nowait(self) -> Link | None:
        """The link if there is one now."""
        return self._link

    async def link(self) -> Link:
        """The link, as soon as there is one."""
        while self._link is None:
            await self._connected.wait()
        return self._link

    async def run(self) -> None:
        """Connect, watch, connect again, until cancelled. Raises InvalidAccess for credentials that can't be read."""
        self._credentials.check()
        pause = FIRST_PAUSE_SECONDS
        quiet = False
        while True:
            client = AnySubjectClient()
            try:
                await _apart(self._connect(client), "connecting to NATS")
            except LOST as error:
                await _retire(client)
                if not quiet:
                    _logger.warning("NATS at %s can't be reached: %s; trying on", self.servers, self._problem or error)
                    quiet = True
                await asyncio.sleep(pause * random.uniform(0.7, 1.3))  # noqa: S311 - spreads agents, hides nothing
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
                continue
            except BaseException:
                await _retire(client)
                raise
            if self.number:
                _logger.info("connected again to NATS at %s", self.servers)
            pause, quiet = FIRST_PAUSE_SECONDS, False
            await self._hold(client)

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

    async def _hold(self, client: Client) -> None:
        self.number += 1
        link = self._link = Link(self.number, client)
        self._connected.set()
        try:
            while client.is_connected:
                await self._hint.wait(WATCH_SECONDS)
        finally:
            self._link = None
            self._connected.clear()
            link.lost.set()
            await _retire(client)
        _logger.warning("the connection to NATS at %s is lost: %s", self.servers, self._problem or "closed")

    async def _connect(self, client: Client) -> None:
        async def hint() -> None:
            self._hint.set()

        async def failed(error: Exception) -> None:
            self._problem = error
            self._hint.set()
            if client.is_connected:
                _logger.warning("NATS: %s", error)

        self._problem = None
        await connect(
            client, self._servers, self._credentials, self._tls, name=self._name, on_error=failed, on_close=hint
        )


async def connect(
    client: Client,
    servers: list[str],
    credentials: Credentials,
    tls: Tls | None,
    *,
    name: str,
    on_error: Callable[[Exception], Awaitable[None]],
    on_close: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Connect a client for one connection's life. Raises one of LOST."""
    await client.connect(
        servers=servers,
        name=name,
        error_cb=on_error,
        disconnected_cb=on_close,
        closed_cb=on_close,
        allow_reconnect=False,
        max_reconnect_attempts=1,
        reconnect_time_wait=0,
        connect_timeout=CONNECT_SECONDS,
        ping_interval=PING_SECONDS,
        tls=tls.context() if tls else None,
        tls_hostname=tls.hostname or None if tls else None,
        tls_handshake_first=tls.handshake_first if tls else False,
        user=credentials.user or None,
        password=credentials.password or None,
        token=credentials.token or None,
        user_credentials=credentials.creds or None,
        nkeys_seed=credentials.nkey or None,
    )


def shown(url: str) -> str:
    """A url without user and password."""
    parts = urlsplit(url if "://" in url else f"nats://{url}")
    host = f"[{parts.hostname}]" if parts.hostname and ":" in parts.hostname else parts.hostname or ""
    return f"{parts.scheme}://{host}{f':{parts.port}' if parts.port else ''}"


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


async def _apart(work: Coroutine[None, None, None], name: str) -> None:
    """Run the library's work in a task of its own, so that our cancellation is not lost in it."""
    task = asyncio.create_task(work, name=name)
    try:
        await asyncio.wait({task})
    finally:
        await _end(task)
    task.result()


async def _end(task: "asyncio.Task[None]") -> None:
    """Cancel until it has ended: the library swallows a cancellation while it flushes, and so does `wait_for` of
    Python 3.11 when what it waits for comes at the same moment."""
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=WATCH_SECONDS)


async def _retire(client: Client) -> None:
    """Close a client for good, in a task of its own: the library would swallow our cancellation."""
    closing = asyncio.create_task(_close(client), name="closing a NATS client")
    try:
        await asyncio.wait({closing})
    finally:
        if not closing.done():
            await asyncio.wait({closing})


async def _close(client: Client) -> None:
    """A client that breaks while it closes leaves tasks and its socket behind: end these too."""
    with suppress(*LOST):
        async with asyncio.timeout(CLOSE_SECONDS):
            await client.close()
    for subscription in list(client._subs.values()):
        subscription._stop_processing()
    if client._transport:
        client._transport.close()  # type: ignore[no-untyped-call]

"""One client of the library for one connection's life: made to connect once, and closed for good."""

import asyncio
import re
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress

import nats.errors
from nats.aio.client import DEFAULT_INBOX_PREFIX, PING_PROTO, Client, RawCredentials
from nats.aio.msg import Msg

from mesh.credentials import Credentials, Tls, creds_text
from mesh.refusal import PlainServer, explained

PING_SECONDS = 10
"""A link that is half open is noticed after two pings without an answer."""
CONNECT_SECONDS = 5
CLOSE_SECONDS = 2.0
LOST = (nats.errors.Error, OSError, TimeoutError)
"""What work on a link raises when the link, or what is behind it, does not answer."""
_DENIED = re.compile(r'permissions violation for publish to "(.*)"', re.IGNORECASE)


class NotAllowed(nats.errors.Error):
    """The server does not let this user publish there."""

    def __init__(self, subject: str) -> None:
        super().__init__(
            f"the server does not let this user publish to {subject}: `ganglion mesh permissions` prints what it needs"
        )
        self.subject = subject


class AnySubjectClient(Client):
    """A client that survives a subject which is not UTF-8. The library's reader dies of one, and as the message stays
    in its stream, so does each client after it (see test_a_subject_that_is_not_text_does_not_stop_the_intake).

    It also publishes batches, which is a fifth of the work for each message."""

    api = "$JS.API"
    """Where JetStream is asked: behind a leaf link it is that of the hub's domain, `$JS.<domain>.API`."""
    wants_tls = False
    expires: float | None = None
    """When the server will end the connection, because the credentials are good no longer; seconds since 1970."""

    def __init__(self) -> None:
        super().__init__()
        self._asking: defaultdict[str, set[asyncio.Future[Msg]]] = defaultdict(set)
        """Questions without an answer, by subject in small letters, as the library tells the server's errors."""

    async def question(
        self, subject: str, body: bytes, *, seconds: float, headers: Mapping[str, str] | None = None
    ) -> Msg:
        """A request that ends at once where the server does not let us ask: it refuses beside the answer, not with it.

        Raises NotAllowed, and what `request` raises.
        """
        asking = asyncio.ensure_future(
            self.request(subject, body, timeout=seconds, headers=dict(headers) if headers else None)
        )
        refused: asyncio.Future[Msg] = asyncio.get_running_loop().create_future()
        waiting = self._asking[subject.lower()]
        waiting.add(refused)
        try:
            await asyncio.wait({asking, refused}, return_when=asyncio.FIRST_COMPLETED)
            if asking.done():
                return asking.result()
            raise NotAllowed(subject)
        finally:
            asking.cancel()
            refused.cancel()
            waiting.discard(refused)
            if not waiting:
                self._asking.pop(subject.lower(), None)

    def heard(self, error: Exception) -> None:
        """The server complains, which may be about a question."""
        match = _DENIED.search(str(error))
        for refused in self._asking.get(match[1].lower(), ()) if match else ():
            if not refused.done():
                refused.cancel()

    async def publish_batch(self, batch: Iterable[tuple[str, str, Mapping[str, str], bytes]]) -> None:
        """Publish messages, each as (subject, reply or nothing, headers, body), in their order.

        Unlike `publish` this does not look into subjects and headers: they are our own, or were checked (mesh/wire.py).
        Raises nats.errors.Error without connection, and for a message larger than the server takes.
        """
        if not self.is_connected:
            raise nats.errors.ConnectionClosedError
        for subject, reply, headers, body in batch:
            target = f"{subject} {reply}" if reply else subject
            if headers:
                lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
                head = f"NATS/1.0\r\n{lines}\r\n".encode()
                size = len(head) + len(body)
                command = b"HPUB %b %d %d\r\n%b%b\r\n" % (target.encode(), len(head), size, head, body)
            else:
                size = len(body)
                command = b"PUB %b %d\r\n%b\r\n" % (target.encode(), size, body)
            if size > self.max_payload:
                raise nats.errors.MaxPayloadError
            await self._send_command(command)
        await self._flush_pending()

    async def _send_ping(self, future: "asyncio.Future[bool] | None" = None) -> None:
        """The library sends a ping past what is still to be written: the server's answer to a `flush` would then come
        before it had a subscription, and what is published at once would be lost."""
        self._pongs.append(future or asyncio.get_running_loop().create_future())
        await self._send_command(PING_PROTO)
        await self._flush_pending()

    def _connect_command(self) -> bytes:
        """The library goes on without TLS, and shows the credentials, where a server (or who stands before it) does
        not ask for it."""
        if self.wants_tls and not self.options["tls_handshake_first"] and not self._server_info.get("tls_required"):
            raise PlainServer
        return super()._connect_command()

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


async def connect(
    client: AnySubjectClient,
    servers: list[str],
    credentials: Credentials,
    tls: Tls | None,
    *,
    name: str,
    on_error: Callable[[Exception], Awaitable[None]],
    on_close: Callable[[], Awaitable[None]] | None = None,
    inbox: str = "",
) -> None:
    """Connect a client for one connection's life. Raises one of LOST, and InvalidAccess for files that can't be read.

    `inbox`: what its inboxes begin with, so that the server can keep others from reading them.
    """

    async def heard(error: Exception) -> None:
        client.heard(error)
        await on_error(error)

    login = credentials.login()
    client.wants_tls, client.expires = tls is not None, login.expires
    try:
        await client.connect(
            servers=servers,
            name=name,
            error_cb=heard,
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
            user=login.user or None,
            password=login.password or None,
            token=login.token or None,
            # As text, not as paths: the library reads a creds file that is cut off without end.
            user_credentials=RawCredentials(creds_text(login.jwt, login.seed)) if login.jwt else None,
            nkeys_seed_str=login.seed if login.seed and not login.jwt else None,
            inbox_prefix=inbox or credentials.inbox or DEFAULT_INBOX_PREFIX,
        )
    except LOST as error:
        raise explained(error, login, tls) or error from None


async def retire(client: Client) -> None:
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
            if client._flush_queue is not None:  # else it never began to connect, and the library asserts that it did
                await client.close()
    for subscription in list(client._subs.values()):
        subscription._stop_processing()
    if client._transport:
        client._transport.close()  # type: ignore[no-untyped-call]

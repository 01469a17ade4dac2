"""The one HTTP client of the process; owns httpx, which is imported at the first request.

It gives what `engine.ports.Http` promises and httpx alone does not: a bound on the body that also holds for compressed
ones, a timeout for the exchange as a whole, redirects that carry no credentials to another host, no cookies from one
execution in another, and error texts without URLs and headers, which may hold secrets.
"""

import asyncio
import logging
import re
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import cache
from typing import TYPE_CHECKING

from engine.ports import Response, Streaming
from plugins.http_faults import as_ports
from plugins.http_stream import Incoming
from plugins.inflate import ENCODINGS, Inflate

if TYPE_CHECKING:
    import httpx

MAX_REDIRECTS = 10
MAX_CONNECTIONS = 100
"""Open at once, over all hosts; further requests wait, within their timeout."""

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e]*")
_FRAMING = frozenset({"content-length", "transfer-encoding"})
_HARMLESS = frozenset(
    {"accept", "accept-encoding", "accept-language", "content-length", "content-type", "host", "user-agent"}
)
"""Headers that follow a redirect to another origin; any other may be a credential."""


class HttpClient:
    """One pool of connections; implements `engine.ports.Http`. Close it with `aclose`."""

    def __init__(self) -> None:
        self._clients: dict[bool, httpx.AsyncClient] = {}
        self._opening = asyncio.Lock()

    async def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout: float,
        max_bytes: int,
        follow_redirects: bool,
        verify: bool,
    ) -> Response:
        """One exchange, at most `timeout` seconds and `max_bytes` of (unpacked) body.

        Raises Unreachable, TimeoutError, or ValueError for what will never work: a URL, header or redirect, or the
        machine's certificates.
        """
        check_headers(headers)
        try:
            async with asyncio.timeout(timeout):
                client = await self._client(verify)
                return await _exchange(client, method, url, headers, body, max_bytes, follow_redirects)
        except TimeoutError:
            raise TimeoutError(f"no complete answer within {timeout:g} s") from None

    @asynccontextmanager
    async def stream(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None, timeout: float, max_bytes: int,
        verify: bool,
    ) -> AsyncIterator[Streaming]:  # fmt: skip
        """One exchange whose body is read as it comes; who leaves before its end closes the connection, so that the
        server stops its work and the pool has the place back.

        Raises what `send` raises; a redirect is an answer like any other.
        """
        check_headers(headers)
        client = await self._client(verify)
        with as_ports():
            request = client.build_request(method, url, headers=dict(headers), content=body)
            _check_url(request.url)
            try:
                async with asyncio.timeout(timeout):
                    response = await client.send(request, stream=True)
            except TimeoutError:
                raise TimeoutError(f"no answer within {timeout:g} s") from None
        incoming = Incoming(response, timeout=timeout, max_bytes=max_bytes)
        try:
            yield incoming
        finally:
            await incoming.aclose()

    async def aclose(self) -> None:
        """Close all connections; requests under way break."""
        clients, self._clients = self._clients, {}
        for client in clients.values():
            await client.aclose()

    async def _client(self, verify: bool) -> "httpx.AsyncClient":
        async with self._opening:
            client = self._clients.get(verify)
            if client is None:
                # On a thread: importing httpx and reading the CA certificates takes up to a second on a small device.
                client = self._clients[verify] = await asyncio.to_thread(_open, verify)
            return client


def check_headers(headers: Mapping[str, str]) -> None:
    """Raise ValueError unless these can be sent as HTTP headers; the text never shows a value."""
    for name, value in headers.items():
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not a header name")
        if not _VALUE.fullmatch(value):
            raise ValueError(f"the header {name} holds a line break or another character that HTTP does not allow")
        if name.lower() in _FRAMING:
            raise ValueError(f"the header {name} follows from the body: remove it")


def _open(verify: bool) -> "httpx.AsyncClient":
    from http.cookiejar import CookieJar, DefaultCookiePolicy

    import httpx

    # Both log URLs and headers; a library's log is no place for secrets.
    for library in ("httpx", "httpcore"):
        logging.getLogger(library).setLevel(logging.CRITICAL)
    return httpx.AsyncClient(
        verify=_trust() if verify else False,
        timeout=None,  # noqa: S113 - the exchange as a whole has one, in `send`
        limits=httpx.Limits(max_connections=MAX_CONNECTIONS, max_keepalive_connections=20, keepalive_expiry=30),
        headers={"User-Agent": "ganglion", "Accept-Encoding": ENCODINGS},
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
    )


@cache
def _trust() -> ssl.SSLContext:
    """The certificates that this machine trusts; reading them takes most of the time of making a client."""
    import httpx

    try:
        return httpx.create_ssl_context()
    except OSError as error:
        raise ValueError(
            f"the certificates that SSL_CERT_FILE or SSL_CERT_DIR names can't be read: {error.strerror or error}"
        ) from None


async def _exchange(
    client: "httpx.AsyncClient",
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes | None,
    max_bytes: int,
    follow_redirects: bool,
) -> Response:
    with as_ports():
        request = client.build_request(method, url, headers=dict(headers), content=body)
        _check_url(request.url)
        for _ in range(MAX_REDIRECTS + 1):
            response = await client.send(request, stream=True)
            try:
                if not follow_redirects or response.next_request is None:
                    return await _read(response, max_bytes)
                request = _redirected(response.next_request, request.url)
            finally:
                await response.aclose()
    raise ValueError(f"more than {MAX_REDIRECTS} redirects: the server sends the request around in circles")


def _check_url(url: "httpx.URL") -> None:
    if url.scheme not in ("http", "https") or not url.host or not 0 < (url.port or 80) < 65536:
        raise ValueError("the URL is not valid: expected http:// or https://, a host and a path")


def _redirected(request: "httpx.Request", origin: "httpx.URL") -> "httpx.Request":
    url = request.url
    _check_url(url)
    if origin.scheme == "https" and url.scheme == "http":
        raise ValueError("the server redirects from https to http: refused")
    if (url.scheme, url.host, url.port) != (origin.scheme, origin.host, origin.port):
        for name in [name for name in request.headers if name not in _HARMLESS]:
            del request.headers[name]
    return request


async def _read(response: "httpx.Response", max_bytes: int) -> Response:
    headers = dict(response.headers.items())
    inflate = Inflate.of(headers.get("content-encoding", ""))
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk if inflate is None else inflate.feed(chunk, max_bytes + 1 - len(body))
        if len(body) > max_bytes:
            break
    else:
        if inflate is not None:
            inflate.finish()
    if inflate is not None and body:
        # They describe the body as it travelled, not as it is handed over.
        headers.pop("content-encoding", None)
        headers.pop("content-length", None)
    return Response(response.status_code, headers, bytes(body[:max_bytes]), truncated=len(body) > max_bytes)

import asyncio
import gzip
import logging
import shutil
import socket
import ssl
import subprocess
import sys
import zlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from engine.ports import Http, Response, Unreachable

SECRET = "s3cr3t-token"


@pytest.fixture
def send(client: Http) -> Callable[..., Awaitable[Response]]:
    async def send(url: str, method: str = "GET", **options) -> Response:
        defaults = {
            "headers": {},
            "body": None,
            "timeout": 10.0,
            "max_bytes": 100_000,
            "follow_redirects": True,
            "verify": True,
        }
        return await client.send(method, url, **(defaults | options))

    return send


def test_httpx_is_not_imported_before_the_first_request() -> None:
    code = "import sys, plugins.http_client, plugins.nodes; sys.exit('httpx' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


async def test_an_exchange_carries_method_headers_and_body(server, send, reply) -> None:
    server.answer(reply(201, b"made", content_type="text/plain", x_a="1"))
    answer = await send(server.url + "/things?x=1", "POST", headers={"X-B": "2"}, body=b"data")
    assert (answer.status, answer.body, answer.truncated, answer.headers["x-a"]) == (201, b"made", False, "1")
    request = server.requests[0]
    assert (request.method, request.target, request.body) == ("POST", "/things?x=1", b"data")
    assert request.headers["x-b"] == "2"


async def test_repeated_headers_are_joined_and_names_are_in_lower_case(server, send) -> None:
    server.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-A: 1\r\nX-A: 2\r\n\r\n")
    assert (await send(server.url)).headers["x-a"] == "1, 2"


async def test_connections_are_used_again(server, send) -> None:
    await send(server.url)
    await send(server.url)
    assert server.connections == 1


async def test_a_cookie_of_one_request_is_not_sent_with_the_next(server, send, reply) -> None:
    server.answer(reply(200, set_cookie="session=1"))
    await send(server.url)
    await send(server.url)
    assert "cookie" not in server.requests[1].headers


async def test_a_body_over_the_limit_is_cut_and_its_connection_closed(server, send) -> None:
    async def endless(request, writer) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()

    server.answer(endless)
    answer = await send(server.url, max_bytes=1000)
    assert (answer.body, answer.truncated) == (b"x" * 1000, True)
    await asyncio.wait_for(server.closed.wait(), 5)


async def test_a_body_of_exactly_the_limit_is_whole(server, send, reply) -> None:
    server.answer(reply(200, b"x" * 1000))
    answer = await send(server.url, max_bytes=1000)
    assert (len(answer.body), answer.truncated) == (1000, False)


async def test_a_compressed_body_is_unpacked(server, send, reply) -> None:
    raw = zlib.compressobj(wbits=-15)
    plain = b"hello " * 1000
    for encoding, body in [
        ("gzip", gzip.compress(plain)),
        ("gzip", gzip.compress(plain[:3000]) + gzip.compress(plain[3000:])),
        ("deflate", zlib.compress(plain)),
        ("deflate", raw.compress(plain) + raw.flush()),
    ]:
        server.answer(reply(200, body, content_encoding=encoding))
        answer = await send(server.url)
        assert answer.body == plain
        assert "content-encoding" not in answer.headers


async def test_a_body_in_an_encoding_that_was_not_asked_for_is_handed_over_as_it_came(server, send, reply) -> None:
    server.answer(reply(200, b"\x0b\x02", content_encoding="br"))
    answer = await send(server.url)
    assert (answer.body, answer.headers["content-encoding"]) == (b"\x0b\x02", "br")


async def test_a_gzip_bomb_stops_at_the_limit(server, send, reply) -> None:
    import tracemalloc

    bomb = gzip.compress(bytes(64 * 1024 * 1024))
    server.answer(reply(200, bomb, content_encoding="gzip"))
    await send(server.url, max_bytes=0)  # imports and buffers
    tracemalloc.start()
    try:
        answer = await send(server.url, max_bytes=100_000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (len(answer.body), answer.truncated) == (100_000, True)
    assert peak < 4_000_000


@pytest.mark.parametrize(
    "body",
    [gzip.compress(b"x" * 1000)[:-9], b"no gzip at all", gzip.compress(b"abc")[:12]],
    ids=["without its end", "something else", "hardly begun"],
)
async def test_a_compressed_body_that_is_broken_is_not_taken_for_whole(server, send, reply, body) -> None:
    server.answer(reply(200, body, content_encoding="gzip"))
    with pytest.raises(Unreachable, match="body"):
        await send(server.url)


async def test_a_slow_body_ends_with_a_timeout_for_the_whole(server, send) -> None:
    async def drip(request, writer) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        for _ in range(100_000):  # one byte at a time would reset a timeout per read
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.01)

    server.answer(drip)
    with pytest.raises(TimeoutError, match=r"no complete answer within 0\.2 s"):
        await send(server.url, timeout=0.2)


async def test_a_connection_that_breaks_in_the_body_is_unreachable(server, send) -> None:
    async def breaks(request, writer) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        await writer.drain()
        writer.transport.abort()

    server.answer(breaks)
    with pytest.raises(Unreachable):
        await send(server.url)


async def test_an_answer_that_is_not_http_is_unreachable(server, send) -> None:
    server.answer(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
    with pytest.raises(Unreachable, match="the connection broke"):
        await send(server.url)


async def test_a_refused_connection_is_unreachable_and_says_so(send) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(Unreachable, match="connection refused"):
            await send(f"http://127.0.0.1:{taken.getsockname()[1]}")


async def test_an_unknown_host_is_unreachable_and_not_named(send) -> None:
    with pytest.raises(Unreachable) as caught:
        await send(f"http://{SECRET}.invalid/")
    assert SECRET not in str(caught.value)


async def test_a_plain_server_behind_https_is_unreachable(send) -> None:
    async def plain(reader, writer) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(plain, "127.0.0.1", 0) as server:
        with pytest.raises(Unreachable, match="TLS handshake failed"):
            await send(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}")


@pytest.fixture
def self_signed(tmp_path: Path) -> ssl.SSLContext:
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl to make a certificate")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subprocess.run([*make, "-subj", "/CN=x", "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    return context


async def test_a_certificate_is_checked_unless_told_otherwise(send, self_signed) -> None:
    async def answer(reader, writer) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=self_signed) as server:
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with pytest.raises(Unreachable, match="the certificate is not trusted: self"):
            await send(url)
        assert (await send(url, verify=False)).body == b"ok"


async def test_certificates_that_are_not_there_are_named_as_the_trouble(server, send, monkeypatch, tmp_path) -> None:
    from plugins import http_client

    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    http_client._trust.cache_clear()
    with pytest.raises(ValueError, match="that SSL_CERT_FILE or SSL_CERT_DIR names can't be read: No such file"):
        await send(server.url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "no-url",
        "ftp://127.0.0.1/x",
        "http://",
        "http:///x",
        "http://127.0.0.1:99999/",
        "http://a\r\nX: y/",
        "http://[::1",
        "file:///etc/passwd",
    ],
)
async def test_a_url_that_is_not_valid_is_refused_without_repeating_it(send, url) -> None:
    with pytest.raises(ValueError, match="URL is not valid"):
        await send(url)


@pytest.mark.parametrize(
    "headers",
    [
        {"X-A": f"{SECRET}\r\nX-B: 1"},
        {"X-A": f"{SECRET}\n"},
        {"X-A": f"é{SECRET}"},
        {"X A": SECRET},
        {"X:": "1"},
        {"": "1"},
        {"X\r\n": "1"},
    ],
)
async def test_a_header_that_breaks_http_is_refused_without_showing_its_value(server, send, headers) -> None:
    with pytest.raises(ValueError, match="header") as caught:
        await send(server.url, headers=headers)
    assert SECRET not in str(caught.value)
    assert server.requests == []


@pytest.mark.parametrize("name", ["Content-Length", "transfer-encoding"])
async def test_a_header_that_frames_the_body_is_refused(server, send, name) -> None:
    with pytest.raises(ValueError, match="follows from the body"):
        await send(server.url, headers={name: "chunked"})


async def test_a_redirect_is_followed_only_when_asked(server, send, reply) -> None:
    server.answer(reply(302, location="/there"), reply(200, b"here"))
    assert (await send(server.url)).body == b"here"
    server.answer(reply(302, location="/there"))
    assert (await send(server.url, follow_redirects=False)).status == 302


async def test_redirects_in_circles_end(server, send, reply) -> None:
    server.answer(reply(302, location="/again"))
    with pytest.raises(ValueError, match="more than 10 redirects"):
        await send(server.url)
    assert len(server.requests) == 11


async def test_a_redirect_to_another_origin_carries_no_credentials(server, start_server, send, reply) -> None:
    other = await start_server()
    server.answer(reply(307, location=other.url + "/x"))
    headers = {
        "Authorization": SECRET,
        "X-Api-Key": SECRET,
        "Cookie": SECRET,
        "Accept": "a/b",
        "Idempotency-Key": SECRET,
    }
    await send(server.url, "POST", headers=headers, body=b"data")
    request = other.requests[0]
    assert SECRET not in str(request.headers)
    assert (request.headers["accept"], request.body) == ("a/b", b"data")


async def test_a_redirect_within_the_origin_keeps_its_headers(server, send, reply) -> None:
    server.answer(reply(307, location="/x"), reply())
    await send(server.url, headers={"X-Api-Key": "k"})
    assert server.requests[1].headers["x-api-key"] == "k"


@pytest.mark.parametrize("location", ["ftp://a/b", "file:///etc/passwd", "javascript:1"])
async def test_a_redirect_to_something_else_than_http_is_refused(server, send, reply, location) -> None:
    server.answer(reply(302, location=location))
    with pytest.raises(ValueError, match="URL is not valid"):
        await send(server.url)


async def test_nothing_of_a_request_is_logged(server, send, caplog) -> None:
    with caplog.at_level(logging.DEBUG):
        await send(f"{server.url}/{SECRET}", headers={"X-A": SECRET})
    assert SECRET not in caplog.text


async def test_a_cancelled_request_closes_its_connection_and_the_next_one_works(server, send, reply) -> None:
    async def silent(request, writer) -> None:
        await asyncio.Event().wait()

    server.answer(silent, reply(200, b"ok"))
    task = asyncio.get_running_loop().create_task(send(server.url))
    await server.asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await send(server.url)).body == b"ok"

import asyncio
import gzip
import socket
import zlib
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

import pytest

from engine.ports import Http, Streaming, Unreachable
from plugins.http_client import MAX_CONNECTIONS

SECRET = "s3cr3t-token"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.fixture
def stream(client: Http) -> Callable[..., AbstractAsyncContextManager[Streaming]]:
    def stream(url: str, method: str = "POST", **options) -> AbstractAsyncContextManager[Streaming]:
        defaults = {"headers": {}, "body": b"{}", "timeout": 10.0, "max_bytes": 100_000, "verify": True}
        return client.stream(method, url, **(defaults | options))

    return stream


@pytest.fixture
def read(stream) -> Callable[..., Awaitable[bytes]]:
    """The whole body of one stream; `into` gets its chunks also where it ends with an error."""

    async def read(url: str, *, into: list[bytes] | None = None, **options) -> bytes:
        chunks = [] if into is None else into
        async with stream(url, **options) as answer:
            async for chunk in answer.chunks():
                chunks.append(chunk)
        return b"".join(chunks)

    return read


def packed(data: bytes) -> bytes:
    """One chunk of a chunked body."""
    return b"%x\r\n%s\r\n" % (len(data), data)


async def test_chunks_come_before_the_body_has_ended(server, stream) -> None:
    more = asyncio.Event()

    async def two(request, writer) -> None:
        writer.write(CHUNKED + packed(b"first"))
        await writer.drain()
        await more.wait()
        writer.write(packed(b"second") + b"0\r\n\r\n")

    server.answer(two)
    async with stream(server.url + "/x") as answer:
        chunks = answer.chunks()
        assert (answer.status, await anext(chunks)) == (200, b"first")
        more.set()
        assert [chunk async for chunk in chunks] == [b"second"]
    assert (server.requests[0].method, server.requests[0].body) == ("POST", b"{}")


async def test_a_stream_that_was_read_to_its_end_leaves_its_connection_for_the_next(server, stream, reply) -> None:
    server.answer(reply(200, b"whole"))
    for _ in range(3):
        async with stream(server.url) as answer:
            assert b"".join([chunk async for chunk in answer.chunks()]) == b"whole"
    assert server.connections == 1


async def test_who_leaves_early_closes_the_connection(server, stream) -> None:
    async def endless(request, writer) -> None:
        writer.write(CHUNKED)
        while True:
            writer.write(packed(b"x" * 1000))
            await writer.drain()

    server.answer(endless)
    async with stream(server.url, max_bytes=10**9) as answer:
        await anext(answer.chunks())
    await asyncio.wait_for(server.closed.wait(), 5)


async def test_a_cancelled_reader_closes_the_connection(server, stream) -> None:
    async def hangs(request, writer) -> None:
        writer.write(CHUNKED)
        await writer.drain()
        await asyncio.Event().wait()

    async def read() -> None:
        async with stream(server.url) as answer:
            async for _ in answer.chunks():
                pass

    server.answer(hangs)
    task = asyncio.create_task(read())
    await server.asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_abandoned_streams_do_not_use_up_the_connections(server, stream, reply) -> None:
    async def begins(request, writer) -> None:
        writer.write(CHUNKED + packed(b"x"))
        await writer.drain()

    server.answer(begins)
    for _ in range(MAX_CONNECTIONS + 5):
        async with stream(server.url) as answer:
            async for _chunk in answer.chunks():
                break
    server.answer(reply(200, b"still there"))
    async with stream(server.url, timeout=5.0) as answer:
        assert [chunk async for chunk in answer.chunks()] == [b"still there"]


async def test_the_timeout_is_for_each_wait_and_not_for_the_whole(server, read) -> None:
    async def slow(request, writer) -> None:
        writer.write(CHUNKED)
        for _ in range(6):
            await asyncio.sleep(0.05)
            writer.write(packed(b"x"))
            await writer.drain()
        await asyncio.Event().wait()

    server.answer(slow)
    seen: list[bytes] = []
    with pytest.raises(TimeoutError, match=r"nothing more came within 0\.2 s"):
        await read(server.url, timeout=0.2, into=seen)
    assert b"".join(seen) == b"xxxxxx"


async def test_silence_before_the_headers_is_a_timeout(server, stream) -> None:
    async def silent(request, writer) -> None:
        await asyncio.Event().wait()

    server.answer(silent)
    with pytest.raises(TimeoutError, match=r"no answer within 0\.1 s"):
        async with stream(server.url, timeout=0.1):
            pass


async def test_a_stream_over_the_limit_is_refused(server, read, reply) -> None:
    server.answer(reply(200, b"x" * 1001))
    with pytest.raises(ValueError, match="the body is longer than 1000 bytes"):
        await read(server.url, max_bytes=1000)
    assert len(await read(server.url, max_bytes=1001)) == 1001


async def test_a_compressed_stream_is_unpacked_as_it_comes(server, stream) -> None:
    more = asyncio.Event()

    async def two(request, writer) -> None:
        pack = zlib.compressobj(wbits=31)
        writer.write(CHUNKED.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n"))
        writer.write(packed(pack.compress(b"first") + pack.flush(zlib.Z_SYNC_FLUSH)))
        await more.wait()
        writer.write(packed(pack.compress(b"second") + pack.flush()) + b"0\r\n\r\n")

    server.answer(two)
    async with stream(server.url) as answer:
        chunks = answer.chunks()
        assert "content-encoding" not in answer.headers
        assert await anext(chunks) == b"first"
        more.set()
        assert b"".join([chunk async for chunk in chunks]) == b"second"


async def test_a_gzip_bomb_in_a_stream_stops_at_the_limit(server, read, reply) -> None:
    server.answer(reply(200, gzip.compress(bytes(64 * 1024 * 1024)), content_encoding="gzip"))
    seen: list[bytes] = []
    with pytest.raises(ValueError, match="longer than"):
        await read(server.url, into=seen)
    assert len(b"".join(seen)) <= 100_000


async def test_a_stream_that_breaks_off_is_unreachable(server, read, reply) -> None:
    async def breaks(request, writer) -> None:
        writer.write(CHUNKED + packed(b"half"))
        await writer.drain()
        writer.close()

    cut = gzip.compress(b"x" * 1000)[:-9]
    for answer_with in (breaks, reply(200, cut, content_encoding="gzip")):
        server.answer(answer_with)
        with pytest.raises(Unreachable, match=r"broke|ends too early"):
            await read(server.url)


async def test_a_redirect_is_an_answer_and_not_followed(server, stream, reply) -> None:
    server.answer(reply(307, location="http://127.0.0.1:1/"))
    async with stream(server.url) as answer:
        assert answer.status == 307
    assert len(server.requests) == 1


async def test_errors_hold_neither_url_nor_headers(stream) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/{SECRET}"
        with pytest.raises(Unreachable, match="connection refused") as refused:
            async with stream(url, headers={"X-Key": SECRET}):
                pass
    with pytest.raises(ValueError, match="the header X-Key") as invalid:
        async with stream("http://127.0.0.1/", headers={"X-Key": f"{SECRET}\r\n"}):
            pass
    with pytest.raises(ValueError, match="the URL is not valid"):
        async with stream(f"ftp://127.0.0.1/{SECRET}"):
            pass
    assert SECRET not in f"{refused.value} {invalid.value}"


async def test_an_error_of_the_reader_passes_as_it_is(server, stream) -> None:
    with pytest.raises(LookupError, match="the reader's own"):
        async with stream(server.url):
            raise LookupError("the reader's own")

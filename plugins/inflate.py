"""A compressed body, unpacked no further than its reader asks.

httpx unpacks each chunk as a whole: 64 KiB of gzip can become 64 MB before anyone can count it
(see test_a_gzip_bomb_stops_at_the_limit). Only gzip and deflate are offered to servers, so only they come back.
"""

import zlib

ENCODINGS = "gzip, deflate"
"""What `Accept-Encoding` offers."""

_GZIP = 16 + zlib.MAX_WBITS
_MAGIC = b"\x1f\x8b"


class BrokenBody(ValueError):
    """The body is not what its Content-Encoding says, or ends too early."""


class Inflate:
    """Unpacks a body chunk by chunk; `feed` until the body ends, then `finish`."""

    def __init__(self, encoding: str) -> None:
        self._gzip = encoding != "deflate"
        self._stream = zlib.decompressobj(_GZIP if self._gzip else zlib.MAX_WBITS)
        self._started = False

    @classmethod
    def of(cls, content_encoding: str) -> "Inflate | None":
        """The way to unpack this Content-Encoding; None if the body is handed over as it came."""
        name = content_encoding.strip().lower()
        return cls(name) if name in ("gzip", "x-gzip", "deflate") else None

    def feed(self, chunk: bytes, limit: int) -> bytes:
        """What the chunk unpacks to, `limit` bytes at most (the rest is lost: a reader at its limit stops).

        Raises BrokenBody.
        """
        out = bytearray()
        while chunk and len(out) < limit:
            if self._stream.eof:
                if not (self._gzip and chunk.startswith(_MAGIC)):
                    break  # padding after the end, which browsers ignore too
                self._stream = zlib.decompressobj(_GZIP)
            out += self._unpack(chunk, limit - len(out))
            chunk = self._stream.unused_data
        return bytes(out)

    def finish(self) -> None:
        """The body has ended. Raises BrokenBody if it was not whole."""
        if self._started and not self._stream.eof:
            raise BrokenBody("the compressed body ends too early")

    def _unpack(self, chunk: bytes, limit: int) -> bytes:
        first, self._started = not self._started, True
        try:
            return self._stream.decompress(chunk, limit)
        except zlib.error:
            if not first or self._gzip:
                raise BrokenBody("the body is not what its Content-Encoding says") from None
        # "deflate" means the zlib format, but some servers send the bare stream.
        self._stream = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            return self._stream.decompress(chunk, limit)
        except zlib.error:
            raise BrokenBody("the body is not what its Content-Encoding says") from None

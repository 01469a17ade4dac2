"""Lines of JSON from chunks of bytes, however they are cut."""

from engine.values import InvalidValue, Json, decode_json
from plugins.llm.errors import ModelError, Trouble

__all__ = ["JsonLines", "read_json"]

MAX_LINE_BYTES = 4 * 1024 * 1024


class JsonLines:
    """Give it the body piece by piece; it gives the values of the lines that are complete. `finish` gives the last one,
    which may lack its line feed. Empty lines are read over."""

    def __init__(self, *, max_line: int = MAX_LINE_BYTES) -> None:
        self._max_line = max_line
        self._line = bytearray()

    def feed(self, chunk: bytes) -> list[Json]:
        """Raises ModelError (invalid_output) for what is no JSON, no UTF-8, or too long."""
        *lines, rest = chunk.split(b"\n")
        values: list[Json] = []
        for line in lines:
            self._grow(line)
            self._read(values)
        self._grow(rest)
        return values

    def finish(self) -> list[Json]:
        values: list[Json] = []
        self._read(values)
        return values

    def _grow(self, piece: bytes) -> None:
        self._line += piece
        if len(self._line) > self._max_line:
            raise ModelError(
                Trouble.INVALID, f"it sent a line of more than {self._max_line} bytes: is `url` a model's?"
            )

    def _read(self, values: list[Json]) -> None:
        line = bytes(self._line).strip()
        self._line.clear()
        if line:
            values.append(read_json(line))


def read_json(body: bytes) -> Json:
    """A value that a server sent. Raises ModelError (invalid_output)."""
    try:
        body.decode()
    except UnicodeDecodeError as error:
        shown = body[error.start : error.start + 4].hex(" ")
        raise ModelError(Trouble.INVALID, f"it sent bytes that are no UTF-8 ({shown})") from None
    try:
        return decode_json(body, max_bytes=MAX_LINE_BYTES)
    except InvalidValue as error:
        raise ModelError(Trouble.INVALID, f"it sent something else than JSON: {error}") from None

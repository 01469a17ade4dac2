"""What a GGUF file says of itself, read without trusting it: native code never sees a file that is cut off.

    "GGUF" · version · number of tensors · number of pairs · pairs (key, type, value)
    · tensors (name, shape, type, offset) · padding · the tensors' bytes

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, versions 2 and 3, little-endian.
"""

import math
import os
import re
import struct
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from plugins.llm.errors import ModelError, Trouble
from plugins.llm.local.quantisation import FILE_TYPES, TENSOR_TYPES

__all__ = ["ModelFile", "read_header"]

MAX_TENSORS: Final = 65_536
MAX_PAIRS: Final = 65_536
MAX_NAME: Final = 1024
MAX_TEXT: Final = 4 * 1024 * 1024
"""Bytes of one string: chat templates are long."""
MAX_ARRAY: Final = 4_000_000
"""Elements: vocabularies have some 100,000."""
MAX_KEPT: Final = 1024
"""Longer arrays are counted, and not kept."""
MAX_BYTES: Final = 1 << 48

_STRING, _ARRAY, _BOOL = 8, 9, 7
_SCALARS: Final[Mapping[int, struct.Struct]] = {
    kind: struct.Struct(f"<{code}") for kind, code in zip((*range(8), 10, 11, 12), "BbHhIifBQqd", strict=True)
}
_BLOCK: Final = re.compile(r"(?:\w+\.)?blk\.(\d{1,5})\.")
_LENGTH: Final = struct.Struct("<Q")
CHUNK: Final = 1 << 18

Value = int | float | bool | str | tuple[int | float | bool, ...] | None


class ModelFile(msgspec.Struct, frozen=True, kw_only=True):
    """A model as its file describes it; 0 and "" where it does not say."""

    bytes: int
    """Of the file."""
    tensor_bytes: int
    """Of them the weights."""
    architecture: str
    name: str
    context: int
    """Tokens that it was trained for."""
    layers: int
    embedding: int
    feed_forward: int
    heads: int
    kv_heads: int
    """Over all layers."""
    key_length: int
    value_length: int
    """Numbers that the context keeps for each token and each KV head."""
    vocabulary: int
    parameters: int
    quantisation: str
    has_template: bool
    licence: str


def read_header(path: str | Path) -> ModelFile:
    """Raises ModelError (missing, damaged). Blocks: some 100 ms for a large vocabulary; what was read is remembered."""
    try:
        state = Path(path).stat()
        return _read(str(path), state.st_size, state.st_mtime_ns)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ModelError(Trouble.MISSING, f"{path}: {reason}; see ganglion models list") from error


@lru_cache(maxsize=32)
def _read(path: str, size: int, _changed: int) -> ModelFile:
    with Path(path).open("rb", buffering=CHUNK) as file:
        return _Header(file, path, size).read()


class _Header:
    def __init__(self, file: BinaryIO, path: str, size: int) -> None:
        self._file = file
        self._path = path
        self._size = size
        self._blocks = 0
        """Layers that tensors belong to."""

    def read(self) -> ModelFile:
        if self._file.read(4) != b"GGUF":
            raise ModelError(Trouble.DAMAGED, f"{self._path} is no GGUF file; name one that is")
        version = self._number(4)
        if version not in (2, 3):
            raise self._wrong(f"its version is {version}, known are 2 and 3, little-endian")
        tensors, pairs = self._number(8), self._number(8)
        if tensors > MAX_TENSORS or pairs > MAX_PAIRS:
            raise self._wrong(f"it claims {tensors} tensors and {pairs} pairs")
        found: dict[str, Value] = {}
        counts: dict[str, int] = {}
        for _ in range(pairs):
            key = self._text(MAX_NAME)
            found[key] = self._value(self._number(4), key, counts)
        return self._model(found, counts, *self._tensors(tensors, found))

    def _tensors(self, count: int, found: Mapping[str, Value]) -> tuple[int, int]:
        """Bytes and elements of all tensors; raises if they do not fit into the file."""
        alignment = found.get("general.alignment", 32)
        if not isinstance(alignment, int) or not 8 <= alignment <= 65536 or alignment & (alignment - 1):
            raise self._wrong(f"its alignment is {alignment!r}")
        end = total = elements = 0
        for _ in range(count):
            name = self._text(MAX_NAME)
            if block := _BLOCK.match(name):
                self._blocks = max(self._blocks, int(block[1]) + 1)
            shape = [self._number(8) for _ in range(self._bounded(self._number(4), 8, "dimensions"))]
            kind, offset = self._number(4), self._number(8)
            size, numbers = self._tensor_size(name, kind, shape)
            if offset % alignment or offset > MAX_BYTES:
                raise self._wrong(f"tensor {name[:64]!r} begins at {offset}")
            end, total, elements = max(end, offset + size), total + size, elements + numbers
        begin = -(-self._file.tell() // alignment) * alignment
        if count and begin + end > self._size:
            raise ModelError(
                Trouble.DAMAGED,
                f"{self._path} is cut off: expected {begin + end:,} bytes, got {self._size:,}; "
                "download it again: ganglion models add",
            )
        return total, elements

    def _tensor_size(self, name: str, kind: int, shape: list[int]) -> tuple[int, int]:
        numbers = 1
        for length in shape:
            numbers *= length
            if numbers > MAX_BYTES:
                raise self._wrong(f"tensor {name[:64]!r} has the shape {shape}")
        block, size = TENSOR_TYPES.get(kind, (1, 0))  # newer than this table: llama.cpp itself looks at it
        if shape and shape[0] % block:
            raise self._wrong(f"tensor {name[:64]!r} has the shape {shape}, no multiple of {block}")
        return numbers // block * size, numbers

    def _model(self, found: Mapping[str, Value], counts: Mapping[str, int], size: int, elements: int) -> ModelFile:
        architecture = _text_of(found.get("general.architecture"))
        if not architecture:
            raise self._wrong("it names no architecture")

        def number(key: str) -> int:
            value = found.get(f"{architecture}.{key}")
            value = max(value, default=0) if isinstance(value, tuple) else value
            return value if isinstance(value, int) and 0 <= value < 1 << 32 else 0

        layers, heads, embedding = number("block_count"), number("attention.head_count"), number("embedding_length")
        self._check_numbers(found, architecture, layers)
        per_layer = found.get(f"{architecture}.attention.head_count_kv")
        if isinstance(per_layer, tuple):
            kv_heads = sum(n for n in per_layer if isinstance(n, int) and 0 <= n < 65536)
        else:
            kv_heads = (number("attention.head_count_kv") or heads) * layers
        length = embedding // heads if heads else 0
        file_type = found.get("general.file_type")
        return ModelFile(
            bytes=self._size,
            tensor_bytes=size,
            architecture=architecture,
            name=_text_of(found.get("general.name")),
            context=number("context_length"),
            layers=layers,
            embedding=embedding,
            feed_forward=number("feed_forward_length"),
            heads=heads,
            kv_heads=kv_heads,
            key_length=number("attention.key_length") or length,
            value_length=number("attention.value_length") or length,
            vocabulary=counts.get("tokenizer.ggml.tokens") or number("vocab_size"),
            parameters=elements,
            quantisation=FILE_TYPES.get(file_type, "") if isinstance(file_type, int) else "",
            has_template=bool(found.get("tokenizer.chat_template")),
            licence=_text_of(found.get("general.license")),
        )

    def _check_numbers(self, found: Mapping[str, Value], architecture: str, layers: int) -> None:
        """What llama.cpp would end the process for, instead of refusing it."""
        if layers > self._blocks:
            raise self._wrong(f"it claims {layers} layers and has {self._blocks}")
        for key, value in found.items():
            if key.startswith(architecture) and isinstance(value, float) and not (math.isfinite(value) and value >= 0):
                raise self._wrong(f"{key[:64]} is {value}")

    def _value(self, kind: int, key: str, counts: dict[str, int]) -> Value:
        if kind == _STRING:
            return self._text(MAX_TEXT)
        if kind == _ARRAY:
            return self._array(key, counts)
        return self._scalar(kind)

    def _array(self, key: str, counts: dict[str, int]) -> Value:
        kind, count = self._number(4), self._number(8)
        counts[key] = self._bounded(count, MAX_ARRAY, f"elements of {key[:64]}")
        if kind == _STRING:
            self._skip_texts(count)
            return None
        layout = _SCALARS.get(kind)
        if layout is None:
            raise self._wrong(f"{key[:64]!r} is a list of type {kind}")
        if count > MAX_KEPT:
            self._skip(count * layout.size)
            return None
        return tuple(self._scalar(kind) for _ in range(count))

    def _scalar(self, kind: int) -> int | float | bool:
        layout = _SCALARS.get(kind)
        if layout is None:
            raise self._wrong(f"a value has the unknown type {kind}")
        (value,) = layout.unpack(self._take(layout.size))
        return bool(value) if kind == _BOOL else value

    def _number(self, size: int) -> int:
        return int.from_bytes(self._take(size), "little")

    def _text(self, most: int) -> str:
        return self._take(self._bounded(self._number(8), most, "bytes of a text")).decode("utf-8", "replace")

    def _take(self, size: int) -> bytes:
        found = self._file.read(size)
        if len(found) < size:
            raise self._cut_off()
        return found

    def _skip(self, size: int) -> None:
        if size > self._size - self._file.tell():
            raise self._cut_off()
        self._file.seek(size, os.SEEK_CUR)

    def _skip_texts(self, count: int) -> None:
        """A vocabulary, looked through in chunks: ten times faster than read one by one."""
        while count:
            begin, chunk, at = self._file.tell(), self._file.read(CHUNK), 0
            if len(chunk) < _LENGTH.size:
                raise self._cut_off()
            last = len(chunk) - _LENGTH.size
            while count and at <= last:
                at += _LENGTH.size + _LENGTH.unpack_from(chunk, at)[0]
                count -= 1
            if begin + at > self._size:
                raise self._cut_off()
            self._file.seek(begin + at)

    def _bounded(self, value: int, most: int, what: str) -> int:
        if value > most:
            raise self._wrong(f"it claims {value} {what}")
        return value

    def _cut_off(self) -> ModelError:
        return ModelError(
            Trouble.DAMAGED,
            f"{self._path} is cut off inside its header, after {self._size:,} bytes; "
            "download it again: ganglion models add",
        )

    def _wrong(self, what: str) -> ModelError:
        return ModelError(Trouble.DAMAGED, f"{self._path} is damaged: {what}; download it again: ganglion models add")


def _text_of(value: Value) -> str:
    return value[:200] if isinstance(value, str) else ""

import struct
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugins.llm.errors import ModelError, Trouble
from plugins.llm.local.gguf import ModelFile, read_header
from plugins.llm.local.provider import memory_needed
from tests.plugins.llm.local.conftest import TRIAGE, spec

WHOLE = TRIAGE.read_bytes()
HEADER = 18_100
"""About where the header ends."""

EPSILON = b"llama.attention.layer_norm_rms_epsilon\x06\x00\x00\x00" + struct.pack("<f", 1e-5)


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_a_file_says_what_it_is():
    assert read_header(TRIAGE) == ModelFile(
        bytes=1_102_112, tensor_bytes=1_083_904, architecture="llama", name="triage-tiny", context=1024, layers=4,
        embedding=128, feed_forward=384, heads=4, kv_heads=16, key_length=32, value_length=32, vocabulary=640,
        parameters=1_016_960, quantisation="Q8_0", has_template=True, licence="Apache-2.0",
    )  # fmt: skip


def test_a_file_without_its_end_is_told_with_its_bytes(tmp_path):
    file = written(tmp_path / "cut.gguf", WHOLE[:-1])
    with pytest.raises(ModelError) as caught:
        read_header(file)
    assert caught.value.trouble is Trouble.DAMAGED
    assert str(caught.value) == (
        f"{file} is cut off: expected 1,102,112 bytes, got 1,102,111; download it again: ganglion models add"
    )


@pytest.mark.parametrize("length", [0, 3, 4, 7, 23, 24, 100, 1000, 9000, HEADER, 600_000])
def test_a_file_cut_off_anywhere_is_damaged(tmp_path, length):
    with pytest.raises(ModelError) as caught:
        read_header(written(tmp_path / "cut.gguf", WHOLE[:length]))
    assert caught.value.trouble is Trouble.DAMAGED


@pytest.mark.parametrize(("data", "message"), [
    (b"PK\x03\x04" + WHOLE[4:], "is no GGUF file; name one that is"),
    (WHOLE[:4] + struct.pack(">I", 3) + WHOLE[8:], "its version is 50331648, known are 2 and 3"),
    (WHOLE[:8] + struct.pack("<Q", 1 << 60) + WHOLE[16:], "it claims 1152921504606846976 tensors"),
    (WHOLE.replace(b"llama.block_count\x04\x00\x00\x00\x04", b"llama.block_count\x04\x00\x00\x00\x05"),
     "it claims 5 layers and has 4"),
    (WHOLE.replace(EPSILON, EPSILON[:-4] + struct.pack("<f", -1e-5)), "rms_epsilon is -9.999"),
    (WHOLE[:24] + struct.pack("<Q", 1 << 62) + WHOLE[32:], "it claims 4611686018427387904 bytes of a text"),
])  # fmt: skip
def test_what_is_wrong_is_said(tmp_path, data, message):
    with pytest.raises(ModelError, match=message):
        read_header(written(tmp_path / "bad.gguf", data))


def test_a_missing_file_is_missing(tmp_path):
    with pytest.raises(ModelError, match="no such file or directory; see ganglion models list") as caught:
        read_header(tmp_path / "none.gguf")
    assert caught.value.trouble is Trouble.MISSING


def test_a_changed_file_is_read_again(tmp_path):
    file = written(tmp_path / "a.gguf", WHOLE)
    read_header(file)
    written(file, WHOLE[:5000])
    with pytest.raises(ModelError):
        read_header(file)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, HEADER), st.binary(min_size=1, max_size=16))
def test_a_header_with_other_bytes_is_read_or_refused(tmp_path_factory, at, data):
    damaged = WHOLE[:at] + data + WHOLE[at + len(data) :]
    file = written(tmp_path_factory.getbasetemp() / "fuzzed.gguf", damaged)
    with suppress(ModelError):  # nothing else
        assert read_header(file).tensor_bytes <= len(damaged)


def test_memory_grows_with_the_context():
    small, large = memory_needed(spec(context=512)), memory_needed(spec(context=4096))
    assert 1_102_112 < small < large < 64 * 2**20

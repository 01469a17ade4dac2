"""Who may say what is run."""

import base64

import msgspec
import pytest

from agent.update.keys import InvalidKey, read_key, trusted_keys, written_key
from agent.update.signature import Signature, Untrusted, check, key_id, new_key, read_signature, sign

SEED, PUBLIC = new_key()
KEYS = {key_id(PUBLIC): PUBLIC}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "ganglion-0.2.0"
    path.write_bytes(b"\x7fELF and so on")
    return path


def test_what_a_trusted_key_has_signed_is_taken(file) -> None:
    check(file, sign(file, seed=SEED, version="0.2.0", arch="linux-x86_64"), KEYS)


@pytest.mark.parametrize("field", ["name", "version", "arch", "sha256"])
def test_what_was_changed_in_a_signature_is_refused(file, field) -> None:
    said = sign(file, seed=SEED, version="0.2.0", arch="linux-x86_64")
    with pytest.raises(Untrusted, match="do not run this one"):
        check(file, msgspec.structs.replace(said, **{field: "9.9.9"}), KEYS)


@pytest.mark.parametrize("text", ["", "no base64!", base64.b64encode(b"x" * 64).decode()])
def test_what_is_no_signature_is_refused(file, text) -> None:
    said = msgspec.structs.replace(sign(file, seed=SEED, version="1", arch="a"), signature=text)
    with pytest.raises(Untrusted, match="is not the one of the key"):
        check(file, said, KEYS)


def test_a_changed_file_is_refused(file) -> None:
    said = sign(file, seed=SEED, version="0.2.0", arch="linux-x86_64")
    file.write_bytes(b"\x7fELF and so off")
    with pytest.raises(Untrusted, match="is not the file that was signed: fetch it again"):
        check(file, said, KEYS)


def test_a_key_that_nobody_trusts_is_refused_and_named(file) -> None:
    seed, public = new_key()
    said = sign(file, seed=seed, version="0.2.0", arch="linux-x86_64")
    with pytest.raises(Untrusted, match=rf"{key_id(public)}, which is not trusted: trusted are {key_id(PUBLIC)}"):
        check(file, said, KEYS)
    with pytest.raises(Untrusted, match=r"none is trusted here.*\[update\] keys"):
        check(file, said, {})


def test_another_key_can_not_speak_in_the_name_of_a_trusted_one(file) -> None:
    seed, _ = new_key()
    said = sign(file, seed=seed, version="0.2.0", arch="linux-x86_64")
    with pytest.raises(Untrusted, match="do not run this one"):
        check(file, msgspec.structs.replace(said, key=key_id(PUBLIC)), KEYS)


def test_a_missing_or_broken_signature_file_says_what_to_do(file) -> None:
    with pytest.raises(Untrusted, match=r"ganglion-0\.2\.0\.sig is not there: put the signature beside"):
        read_signature(file)
    file.with_name("ganglion-0.2.0.sig").write_text("{}")
    with pytest.raises(Untrusted, match="is no signature"):
        read_signature(file)


def test_lines_can_not_be_smuggled_in(file) -> None:
    with pytest.raises(ValueError, match="line break"):
        sign(file, seed=SEED, version="1\n2", arch="a")
    one = Signature(name="a", version="1", arch="x", sha256="s", key="k")
    assert one.signed == b"ganglion executable 1\na\n1\nx\ns\nk\n"


def test_keys_are_read_as_they_are_written() -> None:
    assert read_key(written_key(PUBLIC, "the project's")) == PUBLIC
    assert trusted_keys([written_key(PUBLIC)])[key_id(PUBLIC)] == PUBLIC
    for text in ("", "abc", base64.b64encode(b"short").decode()):
        with pytest.raises(InvalidKey, match=r"update\.keys: expected 44 characters"):
            read_key(text)

"""What is signed of an executable, and how that is checked.

A signature file is JSON beside the executable, `NAME.sig`: its name, version, architecture and SHA-256, the key's id,
and an Ed25519 signature over these, line by line after HEAD. Whoever trusts the key knows then that the bytes are the
ones that were released under this name.
"""

import base64
import binascii
import hashlib
from pathlib import Path

import msgspec

HEAD = "ganglion executable 1"
SUFFIX = ".sig"
CHUNK = 1 << 20


class Untrusted(Exception):
    """The signature does not say what it should; the message says why, and what to do."""


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    """The content of a signature file."""

    name: str
    version: str
    arch: str
    sha256: str
    """Hexadecimal, of the executable."""
    key: str
    """Id of the key, see `key_id`."""
    signature: str = ""
    """Base64."""

    @property
    def signed(self) -> bytes:
        """The bytes under the signature."""
        return f"{HEAD}\n{self.name}\n{self.version}\n{self.arch}\n{self.sha256}\n{self.key}\n".encode()


def key_id(public: bytes) -> str:
    """How people call a public key: sixteen hexadecimal digits."""
    return hashlib.sha256(public).hexdigest()[:16]


def checksum(file: Path) -> str:
    """SHA-256, hexadecimal. Raises OSError."""
    digest = hashlib.sha256()
    with file.open("rb") as content:
        while block := content.read(CHUNK):
            digest.update(block)
    return digest.hexdigest()


def new_key() -> tuple[bytes, bytes]:
    """A secret seed and its public key, 32 bytes each."""
    from nacl.signing import SigningKey

    key = SigningKey.generate()
    return bytes(key), bytes(key.verify_key)


def sign(file: Path, *, seed: bytes, version: str, arch: str) -> Signature:
    """The signature of a file under its own name. Raises OSError, ValueError for a line break in what is signed."""
    from nacl.signing import SigningKey

    key = SigningKey(seed)
    unsigned = Signature(
        name=file.name, version=version, arch=arch, sha256=checksum(file), key=key_id(bytes(key.verify_key))
    )
    if any(not text.isprintable() for text in (unsigned.name, version, arch)):
        raise ValueError("a name, version or architecture with a line break in it can't be signed")
    signature = key.sign(unsigned.signed).signature
    return msgspec.structs.replace(unsigned, signature=base64.b64encode(signature).decode())


def read_signature(file: Path) -> Signature:
    """Of the executable `file`. Raises Untrusted where there is none."""
    path = file.with_name(file.name + SUFFIX)
    try:
        return msgspec.json.decode(path.read_bytes(), type=Signature)
    except FileNotFoundError:
        raise Untrusted(f"{path} is not there: put the signature beside the file") from None
    except (OSError, msgspec.DecodeError) as error:
        raise Untrusted(f"{path} is no signature ({error}): fetch it again from where the file is from") from None


def check(file: Path, said: Signature, keys: dict[str, bytes]) -> None:
    """Whether the bytes of `file` are what a trusted key has signed; `keys` by their ids. Raises Untrusted, OSError."""
    from nacl.exceptions import BadSignatureError
    from nacl.signing import VerifyKey

    public = keys.get(said.key)
    if public is None:
        trusted = f"trusted are {', '.join(keys)}" if keys else "none is trusted here"
        raise Untrusted(
            f"{said.name} is signed with the key {said.key}, which is not trusted: {trusted}. If it is your own, add "
            "its public key to [update] keys"
        )
    try:
        VerifyKey(public).verify(said.signed, base64.b64decode(said.signature, validate=True))
    except (BadSignatureError, ValueError, TypeError, binascii.Error):
        raise Untrusted(
            f"the signature of {said.name} is not the one of the key {said.key}: fetch both files again, and do not "
            "run this one"
        ) from None
    if checksum(file) != said.sha256:
        raise Untrusted(f"{said.name} is not the file that was signed: fetch it again, and do not run this one")

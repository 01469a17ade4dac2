"""Whose signature is trusted: the keys that came with the program, and those of the configuration."""

import base64
import binascii
from collections.abc import Iterable
from pathlib import Path

from agent.update.signature import key_id

PACKED = Path(__file__).parent / "trusted"
"""In what is built; a checkout has them in packaging/keys."""
CHECKOUT = Path(__file__).parents[2] / "packaging" / "keys"


class InvalidKey(ValueError):
    """A text that is no public key."""


def trusted_keys(configured: Iterable[str]) -> dict[str, bytes]:
    """Public keys by their ids. Raises InvalidKey."""
    folder = PACKED if PACKED.is_dir() else CHECKOUT
    texts = [line for file in sorted(folder.glob("*.pub")) for line in file.read_text().splitlines()]
    built_in = [line.strip() for line in texts if line.strip() and not line.startswith("#")]
    keys = [read_key(text) for text in (*built_in, *configured)]
    return {key_id(key): key for key in keys}


def read_key(text: str) -> bytes:
    """32 bytes of Ed25519 out of base64; what follows after a space is for people. Raises InvalidKey."""
    try:
        key = base64.b64decode(text.split()[0], validate=True)
    except (binascii.Error, ValueError, IndexError):
        key = b""
    if len(key) != 32:
        raise InvalidKey(f'update.keys: expected 44 characters of base64 as in a .pub file, got "{text[:60]}"')
    return key


def written_key(public: bytes, comment: str = "") -> str:
    """As it stands in a .pub file and in the configuration."""
    return f"{base64.b64encode(public).decode()} {comment}".strip()

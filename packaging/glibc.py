"""Which glibc the parts ask for: the newest version among their symbols is that of the oldest system that runs all."""

import argparse
import re
from collections.abc import Iterable
from pathlib import Path

NAMED = re.compile(rb"\0GLIBC_(2\.\d+(?:\.\d+)?|ABI_DT_RELR)(?=\0)")
ABI = {b"ABI_DT_RELR": (2, 36)}
"""What isn't called after the version that brought it: relocations in a packed form."""

Version = tuple[int, ...]


def asked(files: Iterable[Path]) -> dict[Path, Version]:
    """What each library or program asks for; those that ask for none (static ones, data) are left out."""
    found: dict[Path, Version] = {}
    for path in files:
        if not path.is_file() or path.is_symlink():
            continue
        content = path.read_bytes()
        if content[:4] == b"\x7fELF" and (names := NAMED.findall(content)):
            found[path] = max(map(_version, names))
    return found


def version(text: str) -> Version:
    """Of an argument such as "2.31"."""
    if not re.fullmatch(r"2\.\d+", text):
        raise argparse.ArgumentTypeError(f"{text} is no version of glibc: write it as 2.31")
    return tuple(map(int, text.split(".")))


def beyond(found: dict[Path, Version], limit: Version) -> list[str]:
    """A line for each file that a system with this glibc can't load, the worst first."""
    worst_first = sorted(found.items(), key=lambda item: (item[1], item[0]), reverse=True)
    return [f"{path} asks for GLIBC_{told(needed)}" for path, needed in worst_first if needed > limit]


def told(value: Version) -> str:
    return ".".join(map(str, value))


def _version(name: bytes) -> Version:
    return ABI.get(name) or tuple(map(int, name.split(b".")))

"""What a running agent says about itself: for supervisors and tests (`--ready-file`), and for the command line."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

FILE = "agent.json"
"""In the data directory while the agent runs."""


class Ready(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Written once everything serves; readers ignore fields that they do not know."""

    pid: int
    agent: str
    tenant: str = "default"
    nats: str = ""
    """Where its NATS server is; empty with `mode = "off"`."""
    mqtt: str = ""
    version: str = ""
    trial: bool = False
    """It is there, and begins nothing yet (agent/update/hold.py); only the data directory's file says so."""


def write_ready(path: Path, ready: Ready) -> None:
    """Write the file whole: who sees it can read it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.encode(ready) + b"\n")
    temporary.replace(path)


@contextmanager
def announced(ready: Ready, *paths: Path | None) -> Iterator[None]:
    """The files are there within the block."""
    written = [path for path in paths if path is not None]
    for path in written:
        write_ready(path, ready)
    try:
        yield
    finally:
        for path in written:
            path.unlink(missing_ok=True)


def read_ready(data_dir: Path) -> Ready | None:
    """What the agent of this directory said, None if there is none. A killed agent leaves its file behind."""
    try:
        return msgspec.json.decode((data_dir / FILE).read_bytes(), type=Ready)
    except (OSError, msgspec.DecodeError):
        return None

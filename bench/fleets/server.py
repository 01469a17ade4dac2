"""A plain nats-server with JetStream, as several agents share it."""

import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mesh.server.binary import find_server

START_SECONDS = 10.0
_CLIENTS = re.compile(r"Listening for client connections on (\S+)")


@contextmanager
def server(directory: Path) -> Iterator[str]:
    """Its url. It syncs its streams every two minutes, as NATS does by itself."""
    log = directory / "nats.log"
    command = [str(find_server()), "-js", "-sd", str(directory / "jetstream"), "-a", "127.0.0.1", "-p", "-1"]
    with log.open("wb") as file, subprocess.Popen(command, stdout=file, stderr=file) as process:
        try:
            give_up = time.monotonic() + START_SECONDS
            while "Server is ready" not in (said := log.read_text()):
                if process.poll() is not None or time.monotonic() > give_up:
                    raise SystemExit(f"nats-server did not start:\n{said}")
                time.sleep(0.01)
            yield f"nats://{_CLIENTS.findall(said)[0]}"
        finally:
            process.kill()

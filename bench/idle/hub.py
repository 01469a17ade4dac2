"""A plain nats-server that agents lead to by leaf links."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mesh.server.binary import find_server

READY_WITHIN_SECONDS = 20.0
_LEAFS = re.compile(r"Listening for leafnode connections on (\S+)")
_USER, _PASSWORD = "fleet", "bench"


@contextmanager
def hub(directory: Path) -> Iterator[str]:
    """Runs on a directory until the block's end; gives the url for `[mesh] hub`."""
    directory.mkdir(mode=0o700)
    config, log = directory / "hub.conf", directory / "hub.log"
    store = json.dumps(str(directory))
    users = json.dumps([{"user": _USER, "password": _PASSWORD}])
    config.write_text(
        f"server_name: hub\nlisten: 127.0.0.1:-1\njetstream {{ domain: hub, store_dir: {store} }}\n"
        "leafnodes { listen: 127.0.0.1:-1, no_advertise: true }\n"
        f"accounts {{ FLEET {{ jetstream: enabled, users: {users} }}, SYS {{}} }}\nsystem_account: SYS\n"
    )
    began = time.perf_counter()
    with log.open("wb") as output, subprocess.Popen([find_server(), "-c", config], stderr=output) as server:
        try:
            while "Server is ready" not in log.read_text():
                if server.poll() is not None or time.perf_counter() - began > READY_WITHIN_SECONDS:
                    sys.exit(f"the hub did not start:\n{log.read_text()}")
                time.sleep(0.01)
            [address] = _LEAFS.findall(log.read_text())
            yield f"nats-leaf://{_USER}:{_PASSWORD}@{address}"
        finally:
            server.terminate()

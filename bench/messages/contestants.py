"""Starts what stands between publisher and subscriber, on a directory of its own."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SUBJECT = "bench.messages"
COMPLETED = "ganglion.event.*.*.chain.workflow.completed"
ADDED = 3
"""An execution's output is so much above the number in its message."""
SHIPPED = "always"
READY_SECONDS = 60.0
GANGLION = Path(sys.executable).parent / "ganglion"
BENCH = Path(__file__).parent.parent

WORKFLOW = """\
name: chain
triggers:
  - nats: {subject: "bench.>"}
nodes:
  a: {type: transform, effect: at_least_once, data: "{{ trigger.data.x + 1 }}"}
  b: {type: transform, effect: at_least_once, data: "{{ nodes.a + 1 }}"}
  c: {type: transform, effect: at_least_once, data: "{{ nodes.b + 1 }}"}
outputs: "{{ nodes.c }}"
"""
"""Three steps; each counts as an effect, so it waits for the commit of what it was built from."""


@contextmanager
def ganglion(directory: Path, sync_interval: str) -> Iterator[str]:
    """An agent as it is installed, with the workflow deployed; gives the url of its NATS server."""
    config = directory / "config.toml"
    # What is shipped is measured as it is shipped: with nothing in the file.
    config.write_text("" if sync_interval == SHIPPED else f'[mesh]\nsync_interval = "{sync_interval}"\n')
    workflow, data_dir, ready = directory / "chain.yaml", directory / "data", directory / "ready.json"
    workflow.write_text(WORKFLOW)
    place = ("--config", str(config), "--data-dir", str(data_dir))
    up = [str(GANGLION), "up", *place, "--ready-file", str(ready), "--listen", "127.0.0.1:0"]
    with _running(up, ready) as url:
        subprocess.run([str(GANGLION), "deploy", str(workflow), *place], check=True, stdout=subprocess.DEVNULL)
        yield url


@contextmanager
def ceiling(directory: Path, sync_interval: str) -> Iterator[str]:
    """The bare loop."""
    ready = directory / "ready.json"
    command = [sys.executable, "-m", "messages.bare", str(directory / "data"), str(ready), sync_interval]
    with _running(command, ready) as url:
        yield url


@contextmanager
def _running(command: list[str], ready: Path) -> Iterator[str]:
    """The url that the process wrote into `ready`; it is ended with the block."""
    log = ready.with_suffix(".log")
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output, cwd=BENCH) as process:
        try:
            began = time.monotonic()
            while not ready.exists():
                if process.poll() is not None or time.monotonic() - began > READY_SECONDS:
                    sys.exit(f"{command[0]} did not become ready:\n{log.read_text()}")
                time.sleep(0.01)
            yield json.loads(ready.read_text())["nats"]
        finally:
            if process.poll() is not None:
                sys.stderr.write(f"{command[0]} ended:\n{log.read_text()}\n")
            process.terminate()

"""The services of the examples answer as the tools of examples/act-on-it.yaml ask them."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.running import ROOT, Running, plain_client

pytestmark = pytest.mark.nats
Service = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def service(agent: Running) -> Iterator[Service]:
    """Starts one as a client that nobody knows, until it is ready."""
    running: list[subprocess.Popen[str]] = []

    def start(script: str, *arguments: str) -> "subprocess.Popen[str]":
        path: Path = ROOT / "examples/clients" / script
        process = subprocess.Popen(
            [sys.executable, str(path), agent.url, *arguments],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        running.append(process)
        assert process.stdout is not None
        assert json.loads(process.stdout.readline()) == {"ready": True}
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()


async def test_sensors_and_relays_answer_and_say_what_was_asked(agent: Running, service: Service) -> None:
    sensors, relays = service("sensors.py", "fridge-07=14.2"), service("relays.py")
    async with plain_client(agent.url) as client:
        read = await client.request("sensors.read.fridge-07", b'{"id": "fridge-07"}', timeout=20)
        unknown = await client.request("sensors.read.fridge-09", b"", timeout=20)
        switched = await client.request("relays.set.relay-3", b'{"state": "on"}', timeout=20)
        refused = await client.request("relays.set.relay-3", b'{"state": "half"}', timeout=20)

    assert json.loads(read.data) == {"id": "fridge-07", "celsius": 14.2}
    assert (unknown.headers or {})["Nats-Service-Error"] == "there is no sensor fridge-09"
    assert json.loads(switched.data) == {"id": "relay-3", "state": "on"}
    assert (refused.headers or {})["Nats-Service-Error"] == "state is on or off"
    said = [process.communicate(timeout=20)[0] for process in (sensors, relays)]  # ends them by their standard input
    assert said == ['{"id": "fridge-07", "celsius": 14.2}\n', '{"id": "relay-3", "state": "on"}\n']

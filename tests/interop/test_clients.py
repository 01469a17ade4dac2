"""Clients that know nothing of ours do what docs/subjects.md says."""

import ast
import hashlib
import json
import os
import queue
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest

from mesh.credentials import read_access
from tests.running import ROOT, Running

pytestmark = pytest.mark.nats
CLIENTS = ROOT / "examples/clients"
NPM_SECONDS = 120


@pytest.fixture(scope="module")
def doubling(agent: Running) -> Running:
    agent("deploy", CLIENTS / "double.yaml")
    return agent


@pytest.fixture(scope="session")
def node_client() -> Path:
    """The example with its library, installed once for this machine."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("npm and node are not installed: the Node client can't be run")
    source = CLIENTS / "node"
    digest = hashlib.sha256((source / "package.json").read_bytes()).hexdigest()[:12]
    folder = Path(tempfile.gettempdir()) / f"ganglion-node-client-{os.getuid()}-{digest}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if not (folder / "installed").exists():
        shutil.copy(source / "package.json", folder)
        done = subprocess.run(
            [npm, "install", "--no-audit", "--no-fund", "--no-package-lock"],
            cwd=folder, capture_output=True, text=True, timeout=NPM_SECONDS, check=False,
        )  # fmt: skip
        if done.returncode and not (folder / "node_modules/nats").exists():
            pytest.skip(f"npm can't install the library `nats` here: {done.stderr.strip()[-300:]}")
        (folder / "installed").touch()
    shutil.copy(source / "ganglion.js", folder)
    return folder / "ganglion.js"


def node(client: Path, *arguments: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["node", str(client), *arguments],
        env={**os.environ, **environ}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def access(agent: Running) -> dict[str, str]:
    """How the agent's own user proves who it is."""
    known = read_access(agent.data_dir)
    assert known is not None
    return {"NATS_USER": known.credentials.user, "NATS_PASSWORD": known.credentials.password}


def test_node_starts_a_workflow_and_waits_for_its_end(doubling: Running, node_client: Path) -> None:
    done = node(node_client, "run", doubling.url, "double", '{"n": 21}')

    assert done.returncode == 0, done.stderr
    event = json.loads(done.stdout)
    assert event["type"] == "ganglion.workflow.completed"
    assert event["data"]["outputs"]["twice"] == 42
    assert event["source"] == "/ganglion/default/edge"


def test_node_asks_an_agent_and_is_told_what_is_wrong(doubling: Running, node_client: Path) -> None:
    done = node(node_client, "ask", doubling.url, "edge", "workflows", "{}", **access(doubling))
    assert done.returncode == 0, done.stderr
    assert "double" in [one["workflow"] for one in json.loads(done.stdout)["definitions"]]

    refused = node(node_client, "ask", doubling.url, "edge", "show", '{"execution": "nothing"}', **access(doubling))
    assert refused.returncode == 1
    assert "nothing" in refused.stderr


def test_node_follows_events(doubling: Running, node_client: Path) -> None:
    follower = subprocess.Popen(
        ["node", str(node_client), "follow", doubling.url], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    watchdog = threading.Timer(60, follower.kill)
    watchdog.start()
    try:
        assert follower.stdout is not None
        assert json.loads(follower.stdout.readline()) == {"ready": True}
        doubling("trigger", "double", "-d", '{"n": 1}')
        kinds = [follower.stdout.readline().split()[2] for _ in range(3)]
    finally:
        watchdog.cancel()
        follower.kill()
        follower.communicate()
    assert kinds == ["ganglion.workflow.started", "ganglion.node.completed", "ganglion.workflow.completed"]


class Mqtt:
    """A plain MQTT 3.1.1 client, as mosquitto_pub and mosquitto_sub are."""

    def __init__(self, address: str) -> None:
        host, _, port = address.removeprefix("mqtt://").rpartition(":")
        self.arrived: queue.Queue[tuple[str, Any]] = queue.Queue()
        self._subscribed = threading.Event()
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="interop")
        self.client.on_message = lambda _, __, message: self.arrived.put((message.topic, json.loads(message.payload)))
        self.client.on_subscribe = lambda *_: self._subscribed.set()
        self.client.connect(host, int(port))
        self.client.loop_start()

    def subscribe(self, topic: str) -> None:
        self._subscribed.clear()
        self.client.subscribe(topic, qos=0)
        assert self._subscribed.wait(20)

    def publish(self, topic: str, data: Any) -> None:
        sent = self.client.publish(topic, json.dumps(data), qos=1)
        sent.wait_for_publish(20)
        assert sent.is_published()

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def device(doubling: Running) -> Iterator[Mqtt]:
    client = Mqtt(str(doubling.ready["mqtt"]))
    yield client
    client.close()


def test_mqtt_starts_a_workflow_and_sees_its_end(device: Mqtt) -> None:
    """A dot in a subject is a slash in a topic."""
    device.subscribe("ganglion/event/default/+/double/workflow/completed")
    device.publish("ganglion/trigger/default/any/double", {"n": 4})

    topic, event = device.arrived.get(timeout=20)
    assert topic == "ganglion/event/default/edge/double/workflow/completed"
    assert event["data"]["outputs"]["twice"] == 8


def test_the_python_clients_of_the_readme_are_plain_too() -> None:
    for path in CLIENTS.glob("*.py"):
        tree = ast.parse(path.read_text())
        modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert not {str(module).partition(".")[0] for module in modules} & {"agent", "engine", "mesh", "plugins"}

"""What `nats micro ls|info|stats` shows of a running agent: the requests that it sends."""

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from nats.aio.client import Client

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.nats

MOST_BYTES = 200_000
"""Of $SRV.INFO. Servers take messages of 1 MiB, unless told otherwise."""


async def asked(url: str, *subjects: str) -> list[Any]:
    client = Client()
    await client.connect(url)
    try:
        return [(await client.request(subject, b"", timeout=5)).data for subject in subjects]
    finally:
        await client.close()


async def test_micro_tools_see_who_it_is_and_what_can_be_asked(start, shell) -> None:
    config = shell.write("a.toml", '[agent]\nid = "pi-1"\nlabels = {site = "berlin"}\n')
    agent = start("--config", config)
    agent("status")
    agent("show", "unknown")
    ping, info, stats = await asked(agent.ready["nats"], "$SRV.PING", "$SRV.INFO.ganglion", "$SRV.STATS.ganglion")

    seen = json.loads(ping)
    assert seen["type"] == "io.nats.micro.v1.ping_response"
    assert seen["metadata"] | {"arch": ""} == {
        "agent": "pi-1", "tenant": "default", "arch": "", "recorder": "false", "label.site": "berlin"
    }  # fmt: skip
    assert len(info) < MOST_BYTES
    endpoints = {endpoint["name"]: endpoint for endpoint in json.loads(info)["endpoints"]}
    assert {
        "deploy", "undeploy", "start", "list", "show", "pause", "resume", "cancel", "retry", "forms", "status", "log"
    } <= set(endpoints)  # fmt: skip
    for endpoint in endpoints.values():
        assert endpoint["metadata"]["description"].endswith(".")
        for side in ("request", "answer"):
            schema = msgspec.json.decode(endpoint["metadata"][side])
            assert schema["$ref"].removeprefix("#/$defs/") in schema["$defs"]
    once = {name for name, endpoint in endpoints.items() if endpoint["metadata"]["repeatable"] == "false"}
    assert once == {"start", "fork", "retry", "resolve", "replay"}
    counted = {endpoint["name"]: endpoint for endpoint in json.loads(stats)["endpoints"]}
    assert (counted["status"]["num_requests"], counted["status"]["num_errors"]) == (1, 0)
    assert (counted["show"]["num_errors"], "no execution unknown" in counted["show"]["last_error"]) == (1, True)
    assert counted["status"]["processing_time"] > 0


async def test_the_documentation_names_every_verb(start, shell) -> None:
    agent = start("--config", shell.write("a.toml", "[fleet]\nrecord = true\n"))
    [info] = await asked(agent.ready["nats"], "$SRV.INFO.ganglion")
    told = re.findall(r"^\| `(\w+)` \| ([\w ]+) \| (.*) \|$", (ROOT / "docs/control.md").read_text(), re.MULTILINE)
    repeat = {"true": "yes", "false": "no"}
    assert [(name, answer.replace("with an id", "no"), text) for name, answer, text in told] == [
        (endpoint["name"], repeat[endpoint["metadata"]["repeatable"]], endpoint["metadata"]["description"])
        for endpoint in json.loads(info)["endpoints"]
    ]

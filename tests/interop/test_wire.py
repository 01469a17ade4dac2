"""What an agent puts on the wire is what docs/schemas/ says, and what other CloudEvents readers read."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from engine.events import FACTS, LIVE, Kind
from tests.interop.checking import check
from tests.interop.schemas import FOLDER, files
from tests.interop.script import SCRIPT_CONFIG, Script
from tests.running import Running, running_agent

pytestmark = pytest.mark.nats

UNSEEN = {
    Kind.WORKFLOW_BLOCKED, Kind.OUTBOX_DROPPED, Kind.FLEET_GAP, Kind.AGENT_THROTTLED, Kind.AGENT_ADJUSTED,
    Kind.AGENT_LOST, Kind.AGENT_RETURNED, Kind.AGENT_TWIN,
}  # fmt: skip
"""What no agent says in a few seconds without harm; tests/engine/control/test_event_data.py has it, and
tests/agent/test_lookout.py, and tests/agent/cli/test_fleet.py."""


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Script]:
    """Played once."""
    with running_agent(tmp_path_factory.mktemp("script"), SCRIPT_CONFIG) as agent:
        played = Script(agent)
        asyncio.run(played.play())
        yield played


def kind_of(body: bytes) -> str:
    return str(json.loads(body)["type"].removeprefix("ganglion."))


async def test_schemas_are_those_of_the_code(agent: Running) -> None:
    async with agent.client() as nc:
        wanted = await files(nc)
    found = {path.relative_to(FOLDER).as_posix(): path.read_text() for path in FOLDER.rglob("*.json")}

    changed = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
    assert not changed, f"out of date: write them again with `python -m tests.interop.schemas`: {', '.join(changed)}"


def test_schemas_are_schemas() -> None:
    for path in FOLDER.rglob("*.json"):
        jsonschema.Draft202012Validator.check_schema(json.loads(path.read_text()))


def test_every_fact_is_as_described(script: Script) -> None:
    for message in script.facts:
        check(json.loads(message.data), f"events/{kind_of(message.data)}.json")


def test_every_live_event_is_as_described(script: Script) -> None:
    for message in script.live:
        check(json.loads(message.data), f"live/{kind_of(message.data)}.json")


def test_the_run_was_broad(script: Script) -> None:
    told = {Kind(kind_of(message.data)) for message in (*script.facts, *script.live)}

    assert sorted((FACTS | LIVE) - told - UNSEEN) == []


def test_a_fact_says_on_its_subject_and_in_its_header_what_it_says_inside(script: Script) -> None:
    for message in script.facts:
        event = json.loads(message.data)
        assert message.subject == f"ganglion.event.default.edge.{event['workflow']}.{kind_of(message.data)}"
        assert (message.headers or {})["Nats-Msg-Id"] == event["id"] == f"edge/{event['epoch']}/{event['sequence']}"


def test_facts_are_numbered_without_gaps_over_a_restart(script: Script) -> None:
    numbers = [int(json.loads(message.data)["sequence"]) for message in script.facts]

    assert numbers == list(range(1, len(numbers) + 1))


def test_another_reader_of_cloudevents_reads_every_event(script: Script) -> None:
    seen = set()
    for message in (*script.facts, *script.live):
        event = JSONFormat().read(CloudEvent, message.data)
        raw = json.loads(message.data)
        assert event.get_specversion() == "1.0"
        assert event.get_type() == raw["type"]
        assert event.get_source() == "/ganglion/default/edge"
        assert event.get_data() == raw["data"]
        assert event.get_extension("workflow") == raw["workflow"]
        assert event.get_time().tzinfo is not None
        seen.add((event.get_source(), event.get_id()))
    assert len(seen) == len(script.facts) + len(script.live)


def test_requests_and_answers_are_as_described(script: Script) -> None:
    for exchange in script.exchanges:
        if exchange.refused:
            check(exchange.answer, "service/refusal.json")
        else:
            check({"request": exchange.request, "answer": exchange.answer}, f"service/{exchange.verb}.json")


def test_what_workflows_publish_is_as_described(script: Script) -> None:
    assert script.publications
    for message in script.publications:
        check({"headers": dict(message.headers or {}), "body": json.loads(message.data)}, "publication.json")


def test_heartbeats_are_as_described(script: Script) -> None:
    assert script.heartbeats
    for message in script.heartbeats:
        assert message.subject == "$KV.ganglion_agents.default.edge"
        check(json.loads(message.data), "heartbeat.json")


def test_no_schema_is_named_after_nothing(script: Script) -> None:
    kinds = {kind.value for kind in Kind}

    assert {path.stem for folder in ("events", "live") for path in Path(FOLDER, folder).iterdir()} == kinds

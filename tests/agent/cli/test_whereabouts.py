"""What a person is told of an agent that does not answer."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agent.cli.failure import Failure
from agent.cli.selection import labels_in_use, selected
from agent.cli.whereabouts import explained, known_members, who_is_there
from engine.values import encode_json
from mesh.client import ServiceClient
from mesh.errors import AgentMissing
from mesh.line import Line
from mesh.presence.beat import Beat, State
from mesh.presence.bucket import ensure_bucket, key_of, put
from mesh.server import EmbeddedServer, Settings

pytestmark = pytest.mark.nats


@pytest.fixture
async def line(tmp_path: Path) -> AsyncIterator[Line]:
    settings = Settings(name="edge", data_dir=tmp_path, listen="127.0.0.1:0", sync_interval="1s")
    async with EmbeddedServer.open(settings) as server, Line.open(server.url, server.credentials) as line:
        yield line


async def said(line: Line, agent: str, **about: object) -> None:
    beat = Beat(agent=agent, tenant="default", version="0", **about)  # type: ignore[arg-type]
    await put(line.nc, key_of("default", agent), encode_json(beat))


async def told(line: Line, agent: str, *, is_silent: bool) -> str:
    client = ServiceClient(line, "default", agent)
    return await explained(client, AgentMissing(f"{agent} did not answer", agent, is_silent=is_silent))


async def test_each_absence_has_its_reason(line: Line) -> None:
    await ensure_bucket(line.nc)
    await said(line, "busy", every=600)
    await said(line, "gone", every=0.1)
    await said(line, "off", state=State.STOPPED)
    while (await known_members(line.nc, "default") or {})["gone"].state.value != "lost":
        continue

    busy = await told(line, "busy", is_silent=True)
    assert re.search(r"though its last beat was \d s ago: it may be busy \(--timeout 60s", busy), busy
    assert "though it was there a moment ago: try again" in await told(line, "busy", is_silent=False)
    assert "; it is lost: nothing was heard of it since " in await told(line, "gone", is_silent=False)
    assert "; it stopped at " in await told(line, "off", is_silent=False)
    unknown = await told(line, "bus", is_silent=False)
    assert "did you mean busy? there are: busy, gone (lost since " in unknown
    assert "off (stopped since " in unknown


async def test_without_presence_those_that_answer_are_named(line: Line) -> None:
    assert await known_members(line.nc, "default") in (None, {})
    assert "nobody else is there either" in await told(line, "any", is_silent=False)
    assert "it may be busy" in await told(line, "any", is_silent=True)
    line.nc.api = "$JS.hub.API"
    assert "the hub does not answer now" in await told(line, "any", is_silent=False)
    with pytest.raises(Failure, match="who is there can't be told"):
        await selected(line, "default", "*")


async def test_a_selection_of_nobody_says_what_there_is(line: Line) -> None:
    await ensure_bucket(line.nc)
    with pytest.raises(Failure, match="nobody has said yet that it is there"):
        await selected(line, "default", "*")
    await said(line, "a", labels={"site": "berlin"})
    await said(line, "b")
    members = list((await known_members(line.nc, "default") or {}).values())
    assert labels_in_use(members) == "labels in use: site=berlin (1); without labels: b"
    assert [member.beat.agent for member in await selected(line, "default", "site!=berlin")] == ["b"]


def test_a_near_name_is_offered_and_long_lists_are_cut() -> None:
    text = who_is_there("agent-07", [f"agent-{number:02}" for number in range(30) if number != 7], [])
    assert text.startswith("did you mean agent-")
    assert text.endswith(" and 9 more")

"""What a recorder answers, from a real file."""

import asyncio

import msgspec
import pytest

from engine.control import Refused
from engine.control.fleet_messages import FleetAgentInfo
from engine.control.fleet_verbs import absent_fleet_verbs, fleet_verbs
from engine.fleet.event import FleetEvent
from engine.fleet.store import FleetStore
from engine.values import decode_json, encode_json

NOW = 1_795_000_000_000_000  # 2026-11-18T11:06:40Z
SECOND = 1_000_000


class Clock:
    """Time that only tests move."""

    def __init__(self) -> None:
        self.micros = NOW

    def now(self) -> int:
        return self.micros

    def monotonic(self) -> float:
        return self.micros / 1_000_000


class Rig:
    """A recorder's file and verbs."""

    def __init__(self, store: FleetStore, clock: Clock) -> None:
        self.store = store
        self.clock = clock
        self.seen: list[FleetAgentInfo] = []
        self.verbs = {v.name: v for v in fleet_verbs(store, self, tenant="default", agent="watcher", clock=clock)}

    async def agents(self) -> list[FleetAgentInfo]:
        return self.seen

    async def ask(self, verb: str, **fields):
        """As the service does it."""
        wanted = self.verbs[verb]
        return decode_json(
            encode_json(await wanted.handle(msgspec.convert(fields, wanted.request))), max_bytes=10_000_000
        )

    async def record(self, *numbers: int, agent: str = "pi-1", **more) -> None:
        fields = {"epoch": "e1", "time": NOW, "kind": "workflow.started", "workflow": "cold-chain", "execution": "x"}
        await self.store.record([FleetEvent(agent=agent, seq=seq, **{**fields, **more}) for seq in numbers])


@pytest.fixture
async def rig(tmp_path):
    clock = Clock()
    async with FleetStore.open(tmp_path / "fleet.db", clock=clock, synchronous="off") as store:
        yield Rig(store, clock)


async def refusal(rig, verb, **fields) -> Refused:
    with pytest.raises(Refused) as refused:
        await rig.ask(verb, **fields)
    return refused.value


def sequences(page) -> list[int]:
    return [int(one["event"]["sequence"]) for one in page["events"]]


async def follow(rig, after: int, limit: int, **filters) -> list[int]:
    """All that a follower sees until nothing is there."""
    found = []
    while True:
        page = await rig.ask("fleetevents", after=after, limit=limit, **filters)
        found += sequences(page)
        after = page["next"]
        if not page["more"]:
            return found


# --- events --------------------------------------------------------------------------------------------------------


async def test_events_are_what_the_agent_published(rig):
    await rig.record(7, kind="node.failed", version=3, node="scan[1]/fetch", data=b'{"message":"no"}')

    page = await rig.ask("fleetevents")

    assert page["events"] == [
        {
            "number": 1,
            "event": {
                "specversion": "1.0",
                "id": "pi-1/e1/7",
                "source": "/ganglion/default/pi-1",
                "type": "ganglion.node.failed",
                "subject": "x",
                "time": "2026-11-18T11:06:40.000000Z",
                "datacontenttype": "application/json",
                "sequence": "7",
                "epoch": "e1",
                "workflow": "cold-chain",
                "version": 3,
                "node": "scan[1]/fetch",
                "data": {"message": "no"},
            },
        }
    ]
    assert (page["next"], page["more"]) == (1, False)


async def test_the_newest_are_paged_back_to_the_first(rig):
    await rig.record(*range(1, 11))
    newest = await rig.ask("fleetevents", limit=4)
    older = await rig.ask("fleetevents", limit=4, before=newest["events"][0]["number"])
    oldest = await rig.ask("fleetevents", limit=4, before=older["events"][0]["number"])

    assert [sequences(page) for page in (newest, older, oldest)] == [[7, 8, 9, 10], [3, 4, 5, 6], [1, 2]]
    assert [page["more"] for page in (newest, older, oldest)] == [True, True, False]
    assert newest["next"] == 10


async def test_a_follower_misses_nothing_and_sees_nothing_twice(rig):
    await rig.record(*range(1, 6))
    after = (await rig.ask("fleetevents", limit=2))["next"]
    await rig.record(*range(6, 20))
    await rig.record(*range(1, 4), agent="pi-2")

    assert await follow(rig, after, 4) == [*range(6, 20), 1, 2, 3]
    assert await follow(rig, after, 4, agents=["pi-2"]) == [1, 2, 3]
    assert await follow(rig, 0, 3) == [*range(1, 20), 1, 2, 3]


async def test_a_follower_whose_filter_matches_nothing_moves_on(rig):
    await rig.record(*range(1, 6))

    page = await rig.ask("fleetevents", after=0, kinds=["workflow.failed"])

    assert page == {"events": [], "next": 5, "more": False, "total": None}


async def test_a_number_of_another_file_is_answered_with_where_this_one_is(rig):
    await rig.record(1)

    assert (await rig.ask("fleetevents", after=1000))["next"] == 1


async def test_a_wait_ends_with_the_first_event_that_matches(rig):
    await rig.record(1)
    waiting = asyncio.create_task(rig.ask("fleetevents", after=1, wait=10, agents=["pi-2"]))
    await asyncio.sleep(0)
    await rig.record(2)
    await rig.record(1, agent="pi-2")

    async with asyncio.timeout(5):
        page = await waiting
    assert [one["event"]["id"] for one in page["events"]] == ["pi-2/e1/1"]
    assert page["next"] == 3


async def test_a_wait_without_events_ends_with_an_empty_page(rig):
    await rig.record(1)

    assert await rig.ask("fleetevents", after=1, wait=0.01) == {"events": [], "next": 1, "more": False, "total": None}


async def test_too_many_that_wait_are_refused(rig):
    waiting = [asyncio.create_task(rig.ask("fleetevents", after=0, wait=10)) for _ in range(32)]
    await asyncio.sleep(0)

    refused = await refusal(rig, "fleetevents", after=0, wait=10)
    await rig.record(1)
    async with asyncio.timeout(10):
        pages = await asyncio.gather(*waiting)

    assert refused.code == 503
    assert {page["next"] for page in pages} == {1}


async def test_large_events_are_cut_into_pages_that_nats_takes(rig):
    await rig.record(*range(1, 31), data=encode_json({"text": "x" * 60_000}))

    page = await rig.ask("fleetevents", limit=1000)

    assert 5 < len(page["events"]) < 12
    assert sequences(page)[-1] == 30
    assert page["more"]
    assert await follow(rig, 0, 1000) == list(range(1, 31))


async def test_filters_are_joined_and_times_may_be_durations(rig):
    ended = {"kind": "workflow.failed", "data": b'{"status":"failed","duration":1.0}'}
    await rig.record(1, time=NOW - 7200 * SECOND, **ended)
    await rig.record(2, time=NOW - 60 * SECOND, **ended)
    await rig.record(3, time=NOW - 60 * SECOND)
    await rig.record(1, agent="pi-2", time=NOW - 60 * SECOND, **ended)
    await rig.store.remember({"pi-1": {"site": "berlin"}})

    async def found(**fields) -> list[int]:
        return sequences(await rig.ask("fleetevents", **fields))

    assert await found(since="1h", kinds=["workflow.failed"], labels={"site": "berlin"}) == [2]
    assert await found(until="2026-11-18T10:00:00Z") == [1]
    assert await found(statuses=["failed"], agents=["pi-1"]) == [1, 2]
    assert (await rig.ask("fleetevents", kinds=["workflow.*"], limit=1, count=True))["total"] == 4


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"since": "yesterday"}, "since: expected a time such as"),
        ({"until": "2026-13-01"}, "until: expected a time"),
        ({"after": 1, "before": 2}, "exclude each other"),
        ({"agents": [f"pi-{n}" for n in range(501)]}, "agents: 501 are more than 500"),
    ],
)
async def test_what_cannot_be_asked_is_refused_and_says_what_can(rig, fields, message):
    refused = await refusal(rig, "fleetevents", **fields)

    assert refused.code == 400
    assert message in refused.message


# --- figures --------------------------------------------------------------------------------------------------------


async def test_figures_are_told_by_window_and_paged(rig):
    for minutes, agent in ((0, "pi-1"), (1, "pi-1"), (2, "pi-2")):
        seq = minutes + 1
        await rig.record(seq, agent=agent, time=NOW - minutes * 60 * SECOND, kind="workflow.completed",
                         data=b'{"status":"completed","duration_seconds":2.0}')  # fmt: skip

    whole = await rig.ask("fleetstats", grain="minute", since="1h")
    first = await rig.ask("fleetstats", grain="minute", since="1h", limit=2)
    second = await rig.ask("fleetstats", grain="minute", since="1h", limit=2, skip=2)
    one = await rig.ask("fleetstats", by_window=False, by_agent=False)

    assert [window["agent"] for window in whole["windows"]] == ["pi-2", "pi-1", "pi-1"]
    assert whole["windows"][0]["start"] == "2026-11-18T11:04:00.000000Z"
    assert first["windows"] + second["windows"] == whole["windows"]
    assert (first["more"], second["more"], whole["more"]) == (True, False, False)
    [window] = one["windows"]
    assert (window["completed"], window["failure_rate"]) == (3, 0.0)
    assert window["p50"] == pytest.approx(2.0, rel=0.02)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"grain": "hours"}, "did you mean hour?"),
        ({"since": "1h", "until": "2h"}, "is not before until"),
        ({"grain": "minute", "since": "365d"}, "ask for a shorter time, or for hours"),
    ],
)
async def test_figures_that_cannot_be_had_are_refused(rig, fields, message):
    assert message in (await refusal(rig, "fleetstats", **fields)).message


# --- agents and gaps --------------------------------------------------------------------------------------------------


async def test_an_agent_is_told_with_what_is_recorded_of_it(rig):
    await rig.record(*range(1, 11))
    await rig.record(13, 15)
    await rig.store.remember({"pi-1": {"site": "berlin"}, "pi-9": {"site": "oslo"}})
    await rig.record(1, agent="pi-9", epoch="old")
    rig.seen = [
        FleetAgentInfo(agent="pi-1", state="up", epoch="e1", last_seq=20, labels={"site": "berlin"}),
        FleetAgentInfo(agent="pi-2", state="lost", epoch="e1", last_seq=400, outbox_depth=3),
    ]
    rig.clock.micros += 90 * SECOND

    answer = await rig.ask("fleetagents")
    one, two, nine = answer["agents"]

    assert answer["recorder"] == "watcher"
    assert [agent["agent"] for agent in answer["agents"]] == ["pi-1", "pi-2", "pi-9"]
    assert (one["recorded_seq"], one["lag"], one["lag_seconds"]) == (15, 8, 90.0)
    assert (one["gaps"], one["missing"], one["events"]) == (2, 3, 12)
    assert (two["state"], two["recorded_seq"], two["lag"]) == ("lost", 0, 3)
    assert (nine["state"], nine["labels"], nine["epoch"], nine["lag"]) == ("unknown", {"site": "oslo"}, "old", 0)


async def test_facts_from_before_an_agent_was_recorded_are_not_lost(rig):
    await rig.record(100, 103)
    before, between = await rig.store.gaps()
    await rig.store.give_up(before, before.first, before.last, "kept no more")
    await rig.store.give_up(between, 101, 101, "kept no more")

    [agent] = (await rig.ask("fleetagents"))["agents"]
    gaps = (await rig.ask("fleetgaps"))["gaps"]

    assert (agent["lost"], agent["missing"]) == (1, 1)
    assert [(gap["first"], gap["last"], gap["lost"]) for gap in gaps] == [
        (1, 99, "kept no more"), (101, 101, "kept no more"), (102, 102, "")
    ]  # fmt: skip
    assert [gap["first"] for gap in (await rig.ask("fleetgaps", lost=False))["gaps"]] == [102]
    assert (await rig.ask("fleetgaps", lost=True, limit=1))["more"]
    assert (await rig.ask("fleetgaps", agents=["pi-2"]))["gaps"] == []


async def test_agents_are_filtered_and_paged(rig):
    sites = {"pi-1": "berlin", "pi-2": "oslo", "pi-3": "berlin"}
    rig.seen = [FleetAgentInfo(agent=a, state="up", labels={"site": site}) for a, site in sites.items()]
    rig.seen[2] = msgspec.structs.replace(rig.seen[2], state="lost")

    async def names(**fields) -> list[str]:
        return [agent["agent"] for agent in (await rig.ask("fleetagents", **fields))["agents"]]

    assert await names(labels={"site": "berlin"}) == ["pi-1", "pi-3"]
    assert await names(labels={"site": "berlin"}, states=["up"]) == ["pi-1"]
    assert await names(agents=["pi-2"]) == ["pi-2"]
    page = await rig.ask("fleetagents", limit=2)
    assert page["more"]
    assert await names(after=page["agents"][-1]["agent"]) == ["pi-3"]


async def test_a_thousand_agents_fit_into_pages(rig):
    many = {f"workflow-{n}": 1 for n in range(200)}
    rig.seen = [FleetAgentInfo(agent=f"pi-{n:04}", state="up", workflows=many) for n in range(1000)]

    after, found, pages = "", 0, 0
    while True:
        answer = await rig.ask("fleetagents", after=after)
        assert len(encode_json(answer)) < 700 * 1024
        found, pages = found + len(answer["agents"]), pages + 1
        if not answer["more"]:
            break
        after = answer["agents"][-1]["agent"]

    assert (found, pages > 2) == (1000, True)


# --- who does not record ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("known", "hint"),
    [
        ([], "nobody is known who does; [fleet] record = true in an agent's configuration makes it one"),
        (["pi-7"], "pi-7 does: --agent pi-7"),
        (["pi-7", "pi-8"], "pi-7 and pi-8 do: --agent pi-7"),
    ],
)
async def test_who_does_not_record_says_who_does(known, hint):
    async def recorders() -> list[str]:
        return known

    verbs = absent_fleet_verbs("pi-1", recorders)
    assert [verb.name for verb in verbs] == ["fleetevents", "fleetstats", "fleetagents", "fleetgaps"]
    for verb in verbs:
        with pytest.raises(Refused) as refused:
            await verb.handle(verb.request())
        assert refused.value.code == 409
        assert refused.value.message == f"the agent pi-1 does not record the fleet's events; {hint}"

"""What happens in the fleet starts executions: each event, count and figure once, whatever happens in between."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

import msgspec
import pytest

from engine.definition.fleet import FleetTrigger, Stat
from engine.events import Identity
from engine.fleet.query import EventQuery, Numbered, StatsQuery, Window
from engine.fleet.store import FleetStore
from engine.states import ExecutionState
from engine.store import Store, StoreCorrupt, deadletters, definitions, executions, watches
from engine.store.executions import ExecutionRow
from engine.triggers.fleet import watcher
from engine.triggers.fleet.watcher import Watcher
from engine.triggers.intake import Intake
from engine.triggers.routes import Routes

T = TypeVar("T")
EACH = FleetTrigger(kind="workflow.failed")
FIVE = FleetTrigger(kind="workflow.failed", count=">= 3", within=600.0)
BY_SITE = msgspec.structs.replace(FIVE, group_by="agent.labels.site")


def figure(stat: str, comparison: str, **more) -> FleetTrigger:
    return FleetTrigger(stat=Stat(stat), is_=comparison, over=more.pop("over", 3600.0), **more)


@asynccontextmanager
async def running(service: Watcher) -> AsyncIterator[None]:
    task = asyncio.create_task(service.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


# --- each event


async def test_an_event_of_any_agent_starts_an_execution(make, deploy, agents, admitted) -> None:
    service = make()
    await deploy(service, EACH)
    async with running(service):
        await agents.tell(agent="b1", node="n", reason="cold")
        while not admitted.rows:
            await service._store.submit(lambda tx: None)
    [row] = admitted.rows
    assert (row.workflow, row.cause, row.hops, row.root) == ("w", "e1", 1, row.id)
    trigger = row.trigger_value
    assert (trigger["kind"], trigger["id"]) == ("fleet", "b1/0/1")
    assert trigger["data"] == {
        "id": "b1/0/1", "agent": "b1", "labels": {"site": "bonn"}, "kind": "workflow.failed", "workflow": "cold-chain",
        "version": 1, "execution": "e1", "node": "n", "time": "2026-11-18T11:06:40.000000Z", "data": {"reason": "cold"},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("trigger", "seqs"),
    [
        (FleetTrigger(kind="workflow.failed"), ["a1/0/1", "a2/0/1", "b1/0/1"]),
        (FleetTrigger(kind="agent.*"), ["a1/0/3"]),
        (FleetTrigger(kind=("agent.stopped", "workflow.*")), ["a1/0/1", "a1/0/2", "a1/0/3", "a2/0/1", "b1/0/1"]),
        (FleetTrigger(kind="workflow.failed", workflow=("other", "none")), ["a2/0/1"]),
        (FleetTrigger(kind="workflow.failed", agent="b1"), ["b1/0/1"]),
        (FleetTrigger(kind="workflow.failed", labels={"site": "berlin"}), ["a1/0/1", "a2/0/1"]),
        (FleetTrigger(kind="workflow.failed", when="event.labels.site == params.site"), ["b1/0/1"]),
        (FleetTrigger(kind="workflow.failed", lateness=60.0), ["a1/0/1", "b1/0/1"]),
    ],
)
async def test_only_what_a_trigger_means_starts_one(make, deploy, agents, admitted, look, trigger, seqs) -> None:
    service = make()
    await deploy(service, trigger, bound={"site": "bonn"})
    await agents.tell()
    await agents.tell("workflow.completed")
    await agents.tell("agent.stopped", workflow="_", execution="")
    await agents.tell(agent="a2", workflow="other", ago=61)
    await agents.tell(agent="b1")
    assert sorted(told["id"] for told in await look(service)) == seqs


async def test_of_several_triggers_one_starts_an_execution(make, deploy, agents, look) -> None:
    service = make()
    await deploy(service, FleetTrigger(kind="workflow.*", when="false"), EACH, FleetTrigger(kind="workflow.*"), FIVE)
    await agents.tell()
    await agents.tell("workflow.completed")
    assert len(await look(service)) == 2


async def test_an_old_event_starts_one_however_late_it_comes(make, deploy, agents, look) -> None:
    service = make()
    await deploy(service, EACH)
    await agents.tell(ago=10 * 86_400)
    assert len(await look(service)) == 1


async def test_what_was_before_the_deploy_starts_nothing(make, deploy, agents, look) -> None:
    service = make()
    for _ in range(3):
        await agents.tell()
    await deploy(service, EACH, FIVE)
    assert await look(service) == []
    await agents.tell()
    assert len(await look(service)) == 1


async def test_a_restart_loses_and_repeats_nothing(make, deploy, agents, look) -> None:
    service = make()
    await deploy(service, EACH)
    await agents.tell()
    assert len(await look(service)) == 1
    await agents.tell()
    again = make()
    await deploy(again, EACH)
    await agents.tell()
    assert len(await look(again)) == 2


async def test_a_changed_trigger_goes_on_where_the_old_one_was(make, deploy, agents, look) -> None:
    service = make()
    await deploy(service, EACH)
    await agents.tell()
    await deploy(service, FleetTrigger(kind="workflow.*"), version=2)
    assert len(await look(service)) == 1


async def test_after_an_undeploy_nothing_starts_and_a_later_deploy_begins_anew(
    make, deploy, agents, look, store: Store
) -> None:
    service = make()
    await deploy(service, EACH, BY_SITE)
    for _ in range(3):
        await agents.tell()
    await store.submit(lambda tx: definitions.undeploy(tx, "w", 0))
    assert await look(service) == []
    await service.follow(Routes(agent="recorder"))
    assert await store.submit(watches.listing) == {}
    assert await store.submit(lambda tx: watches.states(tx, "w")) == {}
    await agents.tell()
    await deploy(service, EACH)
    assert await look(service) == []
    await agents.tell()
    assert len(await look(service)) == 1


async def test_a_condition_that_cannot_be_decided_is_a_dead_letter(
    make, deploy, agents, look, store: Store, admitted
) -> None:
    service = make()
    routes = await deploy(service, FleetTrigger(kind="workflow.failed", when="event.data.level > 3"))
    await agents.tell()
    assert await look(service) == []
    [letter] = await store.read(deadletters.listing)
    assert (letter.origin, letter.workflow, letter.subject) == ("fleet", "w", "fleet workflow.failed")
    assert letter.reason.startswith("when: ")
    await Intake(store, admitted, routes).start_again(letter)
    [row] = admitted.rows
    assert row.trigger_value["data"]["id"] == "a1/0/1"


async def test_facts_of_no_concern_do_not_keep_the_position_back(
    make, deploy, agents, look, store, monkeypatch
) -> None:
    monkeypatch.setattr(watcher, "MAX_BEHIND", 10)
    monkeypatch.setattr(watcher, "BATCH", 4)
    service = make()
    await deploy(service, FleetTrigger(kind="agent.stopped"))
    for _ in range(30):
        await agents.tell()
    assert await look(service) == []
    assert (await store.submit(watches.listing))["w"] >= 20


async def test_a_record_that_was_lost_is_noticed(make, deploy, agents, look, tmp_path, clock, store, caplog) -> None:
    service = make()
    await deploy(service, EACH, FIVE)
    for _ in range(5):
        await agents.tell()
    assert len(await look(service)) == 6
    async with FleetStore.open(tmp_path / "another.db", clock=clock) as other:
        agents.store = other
        await agents.tell()
        again = Watcher(store, other, service._admission, service._starting._identity)
        await deploy(again, EACH, FIVE)
        assert "the record of the fleet is another one than before" in caplog.text
        assert await look(again) == []
        await agents.tell()
        assert len(await look(again)) == 1


class Damaged:
    """The record, on a disk that can't be read at times."""

    def __init__(self, fleet: FleetStore) -> None:
        self.fleet = fleet
        self.listeners = fleet.listeners
        self.newest, self.labels = fleet.newest, fleet.labels
        self.left = 0

    async def events(self, query: EventQuery) -> list[Numbered]:
        return await self._read(self.fleet.events(query))

    async def stats(self, query: StatsQuery) -> list[Window]:
        return await self._read(self.fleet.stats(query))

    async def _read(self, answer: Awaitable[list[T]]) -> list[T]:
        found = await answer
        self.left -= 1
        if self.left == 0:
            raise StoreCorrupt("a page is damaged")
        return found


@pytest.mark.parametrize("reading", range(1, 9))
async def test_a_record_that_cannot_be_read_for_a_moment_loses_nothing(
    store, fleet, admitted, deploy, agents, monkeypatch, caplog, reading: int
) -> None:
    monkeypatch.setattr(watcher, "LOOK_SECONDS", 0.001)
    damaged = Damaged(fleet)
    service = Watcher(store, damaged, admitted, Identity("recorder", "default", store.epoch))
    await deploy(service, EACH, BY_SITE, figure("failed", ">= 3"), figure("failed", ">= 2", group_by="agent.id"))
    for _ in range(3):
        await agents.tell()
    damaged.left = reading
    async with running(service):
        while len(admitted.rows) < 6 or damaged.left > 0:
            await store.submit(lambda tx: None)
        for _ in range(20):
            await store.submit(lambda tx: None)
    started = [row.trigger_value["data"] for row in admitted.rows]
    assert sorted(str(told.get("id") or told.get("count") or told["value"]) for told in started) == [
        "3", "3", "3", "a1/0/1", "a1/0/2", "a1/0/3"
    ]  # fmt: skip
    assert "a page is damaged; fleet triggers try again" in caplog.text


async def test_events_wait_in_the_record_while_there_is_no_room(
    make, deploy, agents, admitted, monkeypatch, store
) -> None:
    monkeypatch.setattr(watcher, "BATCH", 2)
    room = asyncio.Event()
    monkeypatch.setattr(admitted, "free_slots", lambda: int(room.is_set()), raising=False)
    monkeypatch.setattr(admitted, "wait_for_slots", room.wait, raising=False)
    service = make()
    await deploy(service, EACH)
    for _ in range(5):
        await agents.tell()
    async with running(service):
        while not admitted.rows:
            await store.submit(lambda tx: None)
        for _ in range(20):
            await store.submit(lambda tx: None)
        assert len(admitted.rows) == 2
        room.set()
        while len(admitted.rows) < 5:
            await store.submit(lambda tx: None)


# --- who caused it


async def own_execution(store: Store, id: str, hops: int) -> None:
    row = ExecutionRow(
        id=id, workflow="w", version=1, status=ExecutionState.COMPLETED, root=id, hops=hops, trigger=b"{}", created_at=0
    )
    await store.submit(lambda tx: executions.create(tx, row))


async def test_a_watcher_that_watches_itself_ends_in_a_dead_letter(make, deploy, agents, look, store, admitted) -> None:
    service = make()
    await deploy(service, EACH)
    await own_execution(store, "own15", 15)
    await own_execution(store, "own16", 16)
    await agents.tell(agent="recorder", execution="own15")
    await agents.tell(agent="recorder", execution="own16")
    await look(service)
    assert [(row.cause, row.hops) for row in admitted.rows] == [("own15", 16)]
    [letter] = await store.read(deadletters.listing)
    assert letter.reason.startswith("17 executions caused each other in a row, and 16 are allowed")


async def test_a_circle_over_another_agent_ends_too(make, deploy, agents, look, store, admitted) -> None:
    service = make()
    await deploy(service, EACH, FleetTrigger(kind="node.failed"))
    await agents.tell("workflow.started", execution="e2", hops=16)
    await agents.tell(execution="e2")
    await agents.tell("node.failed", execution="e2", node="n")
    await agents.tell("workflow.started", execution="e3", hops=3)
    await agents.tell("node.failed", execution="e3", node="n")
    await agents.tell("node.failed", execution="e4", node="n")
    await look(service)
    assert [(row.cause, row.hops) for row in admitted.rows] == [("e3", 4), ("e4", 1)]
    assert len(await store.read(deadletters.listing)) == 2


# --- counts


async def test_a_count_starts_one_execution_and_no_more_for_further_events(make, deploy, agents, look, clock) -> None:
    service = make()
    await deploy(service, FIVE)
    found = []
    for _ in range(6):
        clock.pass_by(60)
        await agents.tell(note="x")
        found.append(await look(service))
    assert [len(started) for started in found] == [0, 0, 1, 0, 0, 0]
    [told] = found[2]
    assert (told["group"], told["count"], told["is"]) == (None, 3, ">= 3")
    assert (told["start"], told["end"]) == ("2026-11-18T10:59:40.000000Z", "2026-11-18T11:09:40.000000Z")
    assert [(event["id"], event["labels"]["site"], event["data"]) for event in told["events"]] == [
        (f"a1/0/{seq}", "berlin", {"note": "x"}) for seq in (1, 2, 3)
    ]


async def test_it_is_armed_again_when_the_count_was_below(make, deploy, agents, look, clock) -> None:
    service = make()
    await deploy(service, FIVE)
    started = 0
    for gap in (0, 1, 1, 600, 1, 1, 1):
        clock.pass_by(gap)
        await agents.tell()
        started += len(await look(service))
    assert started == 2


async def test_while_the_count_stays_it_starts_again_after_a_time(make, deploy, agents, look, clock) -> None:
    service = make()
    await deploy(service, msgspec.structs.replace(FIVE, again_after=1800.0))
    ends = []
    for minute in range(90):
        clock.pass_by(60)
        await agents.tell()
        ends += [minute for _ in await look(service)]
    assert ends == [2, 32, 62]


async def test_groups_are_counted_apart(make, deploy, agents, look) -> None:
    service = make()
    await deploy(service, BY_SITE)
    for agent in ("a1", "b1", "a2", "b1", "c9", "c9", "a1", "c9"):
        await agents.tell(agent=agent)
    assert [(told["group"], told["count"]) for told in await look(service)] == [("berlin", 3), (None, 3)]


@pytest.mark.parametrize(
    ("group_by", "groups"),
    [
        ("agent.id", ["a1", "b1"]),
        ("workflow", ["cold-chain"]),
        ("kind", ["workflow.failed"]),
        ("event.data.error.kind", ["http"]),
        ("event.data.list.1", [7]),
        (("workflow", "agent.id"), [["cold-chain", "a1"], ["cold-chain", "b1"]]),
    ],
)
async def test_events_are_grouped_by_what_they_say(make, deploy, agents, look, group_by, groups) -> None:
    service = make()
    await deploy(service, FleetTrigger(kind="workflow.failed", count=2, within=60.0, group_by=group_by))
    for agent in ("a1", "b1", "a1", "b1"):
        await agents.tell(agent=agent, error={"kind": "http"}, list=[1, 7])
    assert [told["group"] for told in await look(service)] == groups


async def test_late_events_count_when_they_happened(make, deploy, agents, look) -> None:
    service = make()
    await deploy(service, FIVE)
    await agents.tell(ago=0)
    await agents.tell(ago=1500)
    assert await look(service) == []
    await agents.tell(ago=1400)
    assert await look(service) == []
    await agents.tell(ago=1450)
    [told] = await look(service)
    assert [event["id"] for event in told["events"]] == ["a1/0/2", "a1/0/4", "a1/0/3"]


async def test_a_window_that_ended_too_long_ago_starts_nothing(make, deploy, agents, look) -> None:
    service = make()
    await deploy(service, FIVE, msgspec.structs.replace(FIVE, lateness=3 * 86_400.0))
    for number in range(3):
        await agents.tell(ago=2 * 86_400 + number)
    assert len(await look(service)) == 1
    for number in range(3):
        await agents.tell(ago=4 * 86_400 + number)
    assert await look(service) == []


async def test_events_of_a_time_to_come_happen_now(make, deploy, agents, look) -> None:
    service = make()
    await deploy(service, FIVE)
    for year in range(1, 4):
        await agents.tell(ago=-year * 365 * 86_400)
    [told] = await look(service)
    assert told["end"] == "2026-11-18T11:06:40.000000Z"


async def test_a_count_goes_on_after_a_restart(make, deploy, agents, look, clock) -> None:
    service = make()
    await deploy(service, BY_SITE)
    for _ in range(2):
        await agents.tell()
        await agents.tell(agent="b1")
    await agents.tell()
    assert [told["group"] for told in await look(service)] == ["berlin"]
    again = make()
    await deploy(again, BY_SITE)
    clock.pass_by(60)
    await agents.tell()
    await agents.tell(agent="b1")
    assert [(told["group"], len(told["events"])) for told in await look(again)] == [("bonn", 3)]
    clock.pass_by(700)
    third = make()
    await deploy(third, BY_SITE)
    for _ in range(3):
        await agents.tell()
    assert [told["group"] for told in await look(third)] == ["berlin"]


async def test_another_version_with_the_same_trigger_goes_on_counting(make, deploy, agents, look) -> None:
    service = make()
    await deploy(service, FIVE)
    for _ in range(2):
        await agents.tell()
    assert await look(service) == []
    await deploy(service, EACH, FIVE, version=2)
    await agents.tell()
    assert len(await look(service)) == 2


async def test_a_changed_count_begins_anew(make, deploy, agents, look) -> None:
    service = make()
    await deploy(service, FIVE)
    for _ in range(2):
        await agents.tell()
    assert await look(service) == []
    await deploy(service, msgspec.structs.replace(FIVE, within=601.0), version=2)
    await agents.tell()
    assert await look(service) == []


async def test_what_a_count_remembers_goes_when_it_is_over(make, deploy, agents, look, clock, store) -> None:
    service = make()
    await deploy(service, BY_SITE)
    for _ in range(3):
        await agents.tell()
    assert len(await look(service)) == 1
    [states] = (await store.submit(lambda tx: watches.states(tx, "w"))).values()
    assert set(states) == {"", '["berlin"]'}
    clock.pass_by(3 * 3600)
    for _ in range(3):
        await agents.tell(agent="b1")
    assert len(await look(service)) == 1
    [states] = (await store.submit(lambda tx: watches.states(tx, "w"))).values()
    assert set(states) == {"", '["bonn"]'}
    [counting] = service._watches[0].counting.values()
    assert set(counting._groups) == {'["bonn"]'}


async def test_an_event_that_can_not_be_counted_is_told_once_a_minute(make, deploy, agents, look, caplog) -> None:
    service = make()
    await deploy(service, msgspec.structs.replace(FIVE, when="event.data.x > 1"))
    for x in (2, 3, None, "y", 4):
        await agents.tell(x=x)
    assert len(await look(service)) == 1
    assert caplog.text.count("an event is not counted") == 1


async def test_large_data_are_left_out_where_there_are_many_events(make, deploy, agents, look) -> None:
    service = make()
    await deploy(service, FIVE)
    await agents.tell(text="x" * 10_000)
    for _ in range(2):
        await agents.tell()
    [told] = await look(service)
    assert [event["data"] for event in told["events"]] == [None, {}, {}]


# --- figures


async def ends(agents, failed: int, completed: int, **more) -> None:
    for number in range(failed + completed):
        kind, status = ("failed", "failed") if number < failed else ("completed", "completed")
        await agents.tell(f"workflow.{kind}", execution=f"x{number}", status=status, duration_seconds=1.5, **more)


async def test_a_rate_starts_an_execution_when_it_is_too_high(make, deploy, agents, look, clock) -> None:
    service = make()
    await deploy(service, figure("failure_rate", "> 0.2", workflow="cold-chain", min=20))
    await ends(agents, 5, 10)
    assert await look(service) == []
    await ends(agents, 1, 10)
    [told] = await look(service)
    assert (told["stat"], told["is"], told["group"]) == ("failure_rate", "> 0.2", None)
    assert told["value"] == pytest.approx(6 / 26)
    assert (told["start"], told["end"]) == ("2026-11-18T10:06:00.000000Z", "2026-11-18T11:06:40.000000Z")
    assert told["executions"] == {"started": 0, "completed": 20, "partial": 0, "failed": 6, "cancelled": 0}
    assert {event["kind"] for event in told["events"]} == {"workflow.failed"}
    assert len(told["events"]) == 6
    await ends(agents, 3, 0)
    assert await look(service) == []
    clock.pass_by(3700)
    assert await look(service) == []
    await ends(agents, 20, 0)
    assert len(await look(service)) == 1


async def test_a_figure_remembers_over_a_restart_that_it_has_told(make, deploy, agents, look, clock) -> None:
    service = make()
    trigger = figure("failed", ">= 2", group_by=("agent.labels.site", "workflow"), again_after=1800.0)
    await deploy(service, trigger)
    await ends(agents, 2, 0)
    await ends(agents, 2, 0, agent="b1", workflow="other")
    assert [told["group"] for told in await look(service)] == [["berlin", "cold-chain"], ["bonn", "other"]]
    again = make()
    await deploy(again, trigger)
    await ends(agents, 2, 0, agent="a2", workflow="other")
    [told] = await look(again)
    assert told["group"] == ["berlin", "other"]
    assert {event["agent"] for event in told["events"]} == {"a2"}
    clock.pass_by(1700)
    assert await look(again) == []
    clock.pass_by(100)
    assert len(await look(again)) == 3


async def test_a_duration_is_judged_once_there_is_one(make, deploy, agents, look) -> None:
    service = make()
    await deploy(service, figure("p95", "< 1"), figure("longest", "> 1", group_by="agent.id"))
    await agents.tell("workflow.started")
    assert await look(service) == []
    await ends(agents, 0, 1)
    [told] = await look(service)
    assert (told["group"], told["value"]) == ("a1", 1.5)


async def test_silence_is_told_after_the_trigger_was_there_for_so_long(make, deploy, agents, look, clock) -> None:
    service = make()
    await deploy(service, figure("completed", "< 1", workflow="cold-chain"))
    await agents.tell("definition.deployed")
    assert await look(service) == []
    clock.pass_by(3500)
    assert await look(service) == []
    clock.pass_by(200)
    [told] = await look(service)
    assert (told["value"], told["executions"]["completed"], told["events"]) == (0, 0, [])
    await ends(agents, 0, 1)
    assert await look(service) == []
    clock.pass_by(3700)
    assert len(await look(service)) == 1


async def test_a_silent_agent_is_told_for_a_day(make, deploy, agents, look, clock) -> None:
    service = make()
    trigger = figure("events", "< 1", group_by="agent.id", over=600.0)
    await deploy(service, trigger)
    await agents.tell(agent="a1")
    await agents.tell(agent="b1")
    clock.pass_by(1000)
    await agents.tell(agent="b1")
    [told] = await look(service)
    assert told["group"] == "a1"
    again = make()
    await deploy(again, trigger)
    assert await look(again) == []
    clock.pass_by(130)
    assert await look(again) == []
    clock.pass_by(2 * 86_400)
    assert await look(again) == []


async def test_after_a_start_silence_is_not_told_at_once(make, deploy, agents, look, clock) -> None:
    service = make()
    await deploy(service, figure("completed", "< 1"))
    clock.pass_by(7200)
    again = make()
    await deploy(again, figure("completed", "< 1"))
    assert await look(again) == []
    clock.pass_by(121)
    assert len(await look(again)) == 1


async def test_long_windows_move_by_the_hour(make, deploy, agents, look) -> None:
    service = make()
    await deploy(service, figure("failed", ">= 2", over=86_400.0))
    await ends(agents, 1, 0, ago=86_400)
    await ends(agents, 1, 0)
    [told] = await look(service)
    assert told["start"] == "2026-11-17T11:00:00.000000Z"

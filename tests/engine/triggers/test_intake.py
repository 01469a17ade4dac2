import asyncio
import json
import random
import re
from collections.abc import Callable

import pytest

from engine.clock import format_time
from engine.definition.model import BodyFormat, Deliver, NatsTrigger, Param, Trigger, Workflow
from engine.definition.problems import InvalidWorkflow
from engine.states import ExecutionState
from engine.store import Store, StoreFull, deadletters, executions, inbox
from engine.store.deadletters import DeadLetter
from engine.triggers.intake import Intake
from engine.triggers.message import Fate, Message
from engine.triggers.routes import Undeliverable
from engine.values import InvalidValue

MakeIntake = Callable[..., Intake]
AT = 1_795_000_000_000_000


def workflow(name: str, *triggers: str | Trigger) -> tuple[str, int, Workflow]:
    made = tuple(NatsTrigger(subject=one) if isinstance(one, str) else one for one in triggers)
    return name, 3, Workflow(name=name, triggers=made)


def message(subject: str, body: bytes = b"{}", **fields: object) -> Message:
    given = {"received_at": AT, "stream": "GANGLION_INTAKE", "stream_created": "then", **fields}
    return Message(subject=subject, body=body, **given)  # type: ignore[arg-type]


async def letters(store: Store) -> list[DeadLetter]:
    return await store.read(deadletters.listing)


async def test_a_message_becomes_a_queued_execution_of_the_active_version(
    make_intake: MakeIntake, store: Store, admitted
) -> None:
    intake = make_intake(workflow("cold-chain", "sensors.*.temperature"))
    headers = {"Nats-Msg-Id": "7", "X-Site": "berlin", "Ganglion-Hops": "2", "Ganglion-Cause": "another"}
    [receipt] = await intake.accept([message("sensors.f1.temperature", b'{"celsius": 9.5}', headers=headers)])
    assert receipt.fate is Fate.ACCEPTED
    [name] = receipt.executions
    row = await store.read(lambda db: executions.get(db, name))
    assert row is not None
    assert (row.workflow, row.version, row.status) == ("cold-chain", 3, ExecutionState.QUEUED)
    assert (row.root, row.cause, row.hops, row.params) == (name, "another", 2, b"{}")
    assert row.trigger_value == {
        "kind": "nats",
        "subject": "sensors.f1.temperature",
        "headers": headers,
        "id": "7",
        "time": format_time(AT),
        "data": {"celsius": 9.5},
    }
    assert [one.id for one in admitted.rows] == [name]
    assert admitted.rows[0].num == row.num > 0
    assert {fate: count for fate, count in intake.counters.items() if count} == {"accepted": 1}


async def test_a_message_delivered_ten_times_is_executed_once(make_intake: MakeIntake, admitted) -> None:
    intake = make_intake(workflow("w", "a"))
    again = message("a", sequence=5)
    receipts = [receipt for _ in range(5) for receipt in await intake.accept([again, again])]
    assert [receipt.fate for receipt in receipts] == [Fate.ACCEPTED, *[Fate.DUPLICATE] * 9]
    assert {receipt.executions for receipt in receipts} == {(admitted.rows[0].id,)}
    assert len(admitted.rows) == 1
    assert intake.counters["duplicate"] == 9


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ({"headers": {"Nats-Msg-Id": "7"}, "sequence": 1}, {"headers": {"nats-msg-id": "7"}, "sequence": 2}, True),
        ({"headers": {"Nats-Msg-Id": "7"}, "sequence": 1}, {"headers": {"Nats-Msg-Id": "8"}, "sequence": 1}, False),
        ({"sequence": 1}, {"sequence": 1}, True),
        ({"sequence": 1}, {"sequence": 2}, False),
        ({"sequence": 1}, {"sequence": 1, "stream_created": "later"}, False),
        ({}, {}, False),
    ],
)
async def test_what_is_the_same_message(
    make_intake: MakeIntake, admitted, first: dict[str, object], second: dict[str, object], same: bool
) -> None:
    intake = make_intake(workflow("w", "a"))
    await intake.accept([message("a", **first), message("a", **second)])
    assert len(admitted.rows) == (1 if same else 2)


async def test_one_id_on_two_subjects_is_two_messages(make_intake: MakeIntake, admitted) -> None:
    intake = make_intake(workflow("w", "a.*"))
    await intake.accept([message(subject, headers={"Nats-Msg-Id": "7"}) for subject in ("a.x", "a.y", "a.x")])
    assert len(admitted.rows) == 2


async def test_a_cloudevent_is_known_by_its_source_and_id(make_intake: MakeIntake, admitted) -> None:
    intake = make_intake(workflow("w", NatsTrigger(subject="a.*", format=BodyFormat.CLOUDEVENT)))
    event = {"specversion": "1.0", "id": "7", "source": "/fridge", "type": "warm", "data": 1}
    structured = json.dumps(event).encode()
    binary = {f"ce-{name}": str(value) for name, value in event.items() if name != "data"}
    other = json.dumps({**event, "source": "/cellar"}).encode()
    await intake.accept(
        [
            message("a.x", structured, sequence=1),
            message("a.y", b"1", headers=binary, sequence=2),
            message("a.x", other),
        ]
    )
    assert [row.trigger_value["headers"]["ce-source"] for row in admitted.rows] == ["/fridge", "/cellar"]
    assert [row.trigger_value["data"] for row in admitted.rows] == [1, 1]


async def test_two_workflows_on_one_subject_get_an_execution_each_in_one_commit(
    make_intake: MakeIntake, store: Store, admitted
) -> None:
    intake = make_intake(workflow("one", "a.*"), workflow("two", "a.b"), workflow("three", "c"))
    before = store.writer.commits
    [receipt] = await intake.accept([message("a.b", sequence=1)])
    assert store.writer.commits == before + 1
    assert admitted.names() == ["one", "two"]
    assert receipt.executions == tuple(row.id for row in admitted.rows)


async def test_a_batch_is_one_commit(make_intake: MakeIntake, store: Store) -> None:
    intake = make_intake(workflow("w", "a"))
    before = store.writer.commits
    receipts = await intake.accept([message("a", sequence=number) for number in range(1, 101)])
    assert len(receipts) == 100
    assert store.writer.commits == before + 1


async def test_what_matches_nothing_costs_no_commit(make_intake: MakeIntake, store: Store) -> None:
    intake = make_intake(workflow("w", "a"))
    before = store.writer.commits
    assert [receipt.fate for receipt in await intake.accept([message("b")])] == [Fate.UNMATCHED]
    assert await intake.accept([]) == []
    assert store.writer.commits == before
    assert intake.counters["unmatched"] == 1


async def test_a_batch_without_room_is_refused_whole(make_intake: MakeIntake, store: Store, admitted) -> None:
    intake = make_intake(workflow("w", "a"))
    store.writer.full = True
    with pytest.raises(StoreFull):
        await intake.accept([message("a", sequence=1), message("a", b"no", sequence=2)])
    assert admitted.rows == []
    assert set(intake.counters.values()) == {0}
    store.writer.full = False
    assert len(await intake.accept([message("a", sequence=1)])) == 1
    assert len(admitted.rows) == 1


async def test_what_is_committed_runs_although_its_caller_was_cancelled(make_intake: MakeIntake, admitted) -> None:
    intake = make_intake(workflow("w", "a"))
    task = asyncio.ensure_future(intake.accept([message("a", sequence=1)]))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await intake.accept([message("a", sequence=1)])
    assert len(admitted.rows) == 1


HOSTILE = {
    "deep": (b"[" * 100_000, "nested"),
    "large": (b" " * 2_000_000, "limit"),
    "not UTF-8": (b'"\xff"', "utf-8"),
    "NaN": (b"NaN", "JSON"),
    "huge": (b"9" * 500, "64 bits|range"),
    "twice": (b'{"a":1,"a":2}', "twice"),
    "surrogate": (b'"\\udc00"', "JSON"),
    "NUL": (b"\x00", "JSON"),
}


@pytest.mark.parametrize("case", HOSTILE)
async def test_a_hostile_body_is_a_dead_letter_and_its_neighbours_run(
    make_intake: MakeIntake, store: Store, admitted, case: str
) -> None:
    body, reason = HOSTILE[case]
    intake = make_intake(workflow("w", "a"))
    before = store.writer.commits
    receipts = await intake.accept([message("a", sequence=1), message("a", body, sequence=2), message("a", sequence=3)])
    assert [receipt.fate for receipt in receipts] == [Fate.ACCEPTED, Fate.DEAD, Fate.ACCEPTED]
    assert store.writer.commits == before + 1
    [letter] = await letters(store)
    assert (letter.origin, letter.workflow, letter.subject, letter.size) == ("intake", "w", "a", len(body))
    assert letter.reason == receipts[1].reason
    assert re.search(reason, letter.reason, re.IGNORECASE)
    assert len(admitted.rows) == 2


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"headers": {"X": "y" * 20_000}}, "headers have more than"),
        ({"headers": {"X": "\udcff"}}, "not UTF-8"),
        ({"headers": {"\udcff": "x"}}, "not UTF-8"),
        ({"headers": {"Nats-Msg-Id": "7" * 2000}}, "Nats-Msg-Id or Ganglion-Cause is longer"),
        ({"headers": {"Ganglion-Hops": "17"}}, "some workflow starts itself"),
        ({"headers": {"ganglion-hops": "999999999"}}, "some workflow starts itself"),
        ({"headers": {"Ganglion-Hops": "-1"}}, "not a number"),
        ({"headers": {"Ganglion-Hops": "\u0661"}}, "not a number"),
        ({"subject": "a.\udcff"}, "not UTF-8"),
    ],
)
async def test_a_hostile_envelope_is_a_dead_letter(
    make_intake: MakeIntake, store: Store, admitted, fields: dict[str, object], reason: str
) -> None:
    intake = make_intake(workflow("w", "a.>"))
    receipts = await intake.accept([message(**{"subject": "a.b", **fields}), message("a.b")])
    assert [receipt.fate for receipt in receipts] == [Fate.DEAD, Fate.ACCEPTED]
    [letter] = await letters(store)
    assert reason in letter.reason
    assert len(admitted.rows) == 1


async def test_sixteen_hops_are_allowed(make_intake: MakeIntake, admitted) -> None:
    intake = make_intake(workflow("w", "a"))
    await intake.accept([message("a", headers={"Ganglion-Hops": "16"})])
    assert admitted.rows[0].hops == 16


async def test_a_dead_message_delivered_again_is_buried_once(make_intake: MakeIntake, store: Store) -> None:
    intake = make_intake(workflow("w", "a"))
    for _ in range(3):
        [receipt] = await intake.accept([message("a", b"no", sequence=1)])
        assert receipt.fate is Fate.DEAD
    assert len(await letters(store)) == 1


async def test_one_body_may_be_good_for_one_workflow_and_dead_for_another(
    make_intake: MakeIntake, store: Store, admitted
) -> None:
    intake = make_intake(workflow("json", "a"), workflow("text", NatsTrigger(subject="a", format=BodyFormat.TEXT)))
    [receipt] = await intake.accept([message("a", b"hello", sequence=1)])
    assert receipt.fate is Fate.ACCEPTED
    assert "JSON" in receipt.reason
    assert admitted.names() == ["text"]
    assert [letter.workflow for letter in await letters(store)] == ["json"]


async def test_an_unknown_workflow_is_a_dead_letter_that_suggests_a_name(make_intake: MakeIntake, store: Store) -> None:
    intake = make_intake(workflow("cold-chain"))
    [receipt] = await intake.accept([message("ganglion.trigger.default.any.cold-chian")])
    assert receipt.fate is Fate.DEAD
    [letter] = await letters(store)
    assert letter.reason == "no workflow named cold-chian is deployed (did you mean cold-chain?)"


async def test_a_message_fetched_for_a_workflow_that_is_not_here_is_given_back(
    make_intake: MakeIntake, store: Store
) -> None:
    """On a shared server others have it. The mesh fetches before a deploy is done, and until an undeploy is."""
    intake = make_intake(workflow("here", NatsTrigger(subject="a", stream="S")))
    receipts = await intake.accept(
        [
            message("ganglion.trigger.default.any.gone", stream="GANGLION_TRIGGERS", workflow="gone"),
            message("a", stream="S", workflow="gone", deliver=Deliver.ONE, sequence=1),
            message("a", stream="S", workflow="here", deliver=Deliver.ONE, sequence=1),
        ]
    )
    assert [receipt.fate for receipt in receipts] == [Fate.HELD, Fate.HELD, Fate.ACCEPTED]
    assert receipts[0].retry_seconds == 1
    assert await letters(store) == []
    assert [receipt.fate for receipt in await intake.accept([message("b", stream="S", workflow="gone")])] == [Fate.HELD]
    assert (intake.counters["held"], intake.counters["accepted"]) == (3, 1)


async def test_a_dead_letter_is_replayed_once_its_workflow_is_there(
    make_intake: MakeIntake, store: Store, admitted
) -> None:
    intake = make_intake()
    await intake.accept([message("ganglion.trigger.default.any.w", b"[1]", sequence=1)])
    [letter] = await letters(store)
    intake.routes = make_intake(workflow("w")).routes
    receipt = await intake.replay(letter)
    assert receipt.fate is Fate.ACCEPTED
    assert admitted.rows[0].trigger_value["data"] == [1]
    assert (await letters(store))[0].replayed_at is not None


async def test_a_dead_letter_is_replayed_for_its_workflow_only_and_as_a_new_chain(
    make_intake: MakeIntake, store: Store, admitted
) -> None:
    intake = make_intake(workflow("one", "a"))
    await intake.accept([message("a", headers={"Ganglion-Hops": "17"})])
    intake.routes = make_intake(workflow("one", "a"), workflow("two", "b")).routes
    await intake.replay((await letters(store))[0])
    assert [(row.workflow, row.hops) for row in admitted.rows] == [("one", 0)]


async def test_a_dead_letter_of_which_only_the_beginning_was_kept_is_not_replayed(
    make_intake: MakeIntake, store: Store
) -> None:
    intake = make_intake(workflow("w", "a"))
    await intake.accept([message("a", b"x" * 2_000_000)])
    with pytest.raises(InvalidValue, match="can't be replayed"):
        await intake.replay((await letters(store))[0])


async def test_a_workflow_is_started_by_hand(make_intake: MakeIntake, admitted) -> None:
    name, version, _ = workflow("w")
    param = {"limit": Param(type="number", default=8, max=60)}
    intake = make_intake((name, version, Workflow(name=name, params=param, bound={"limit": 8})))
    started = await intake.start_by_hand("w", data={"a": 1}, params={"limit": 4})
    [row] = admitted.rows
    assert (started.execution, started.version, started.duplicate) == (row.id, 3, False)
    assert row.trigger_value == {
        "kind": "cli", "subject": "", "headers": {}, "id": "", "time": format_time(row.created_at), "data": {"a": 1},
    }  # fmt: skip
    assert row.param_values == {"limit": 4}
    with pytest.raises(InvalidWorkflow, match="more than max"):
        await intake.start_by_hand("w", params={"limit": 99})
    with pytest.raises(Undeliverable, match="no workflow named x"):
        await intake.start_by_hand("x")
    with pytest.raises(InvalidValue):
        await intake.start_by_hand("w", data={"a": 2**64})
    assert len(admitted.rows) == 1


async def test_a_start_by_hand_with_an_id_happens_once(make_intake: MakeIntake, admitted) -> None:
    intake = make_intake(workflow("w"))
    first = await intake.start_by_hand("w", id="7")
    again = await intake.start_by_hand("w", id="7", kind="service")
    assert (again.execution, again.duplicate) == (first.execution, True)
    assert len(admitted.rows) == 1
    assert not (await intake.start_by_hand("w", id="8")).duplicate


async def test_claims_outlive_the_process_but_not_the_time_of_dedupe(
    make_intake: MakeIntake, store: Store, admitted
) -> None:
    intake = make_intake(workflow("w", "a"))
    await intake.accept([message("a", sequence=1)])
    await store.submit(lambda tx: inbox.forget(tx, before=admitted.rows[0].created_at + 1))
    await intake.accept([message("a", sequence=1)])
    assert len(admitted.rows) == 2


async def test_no_message_whatsoever_stops_its_neighbours(make_intake: MakeIntake, store: Store, admitted) -> None:
    formats = [NatsTrigger(subject="a.>", format=one) for one in BodyFormat]
    intake = make_intake(*(workflow(one.format.value, one) for one in formats))
    dice = random.Random(20)
    parts = [b"{", b"}", b"[", b'"', b":", b",", b"\\", b"\xff", b"\x00", b"1e9", b"null", b'{"id":"x"}', b"\\ud800"]
    names = [
        "Nats-Msg-Id",
        "Ganglion-Hops",
        "ce-id",
        "ce-specversion",
        "Content-Type",
        "",
        "\x00",
        "\udcff",
        "X" * 9999,
    ]
    texts = ["", "1.0", "17", "-1", "x" * 2000, "\udcff", "\r\n", "application/cloudevents+json", "%ff%00", "é"]
    strange = [
        message(
            dice.choice(["a.b", "a.\udcff", "", "ganglion.trigger.", "ganglion.trigger.default.any.json", "a." * 200]),
            b"".join(dice.choices(parts, k=dice.randrange(8))),
            headers={dice.choice(names): dice.choice(texts) for _ in range(dice.randrange(4))},
            sequence=number,
        )
        for number in range(2, 1000)
    ]
    receipts = await intake.accept([message("a.first", sequence=1), *strange, message("a.last", sequence=1000)])
    assert len(receipts) == 1000
    assert [receipts[0].fate, receipts[-1].fate] == [Fate.ACCEPTED, Fate.ACCEPTED]
    assert not [receipt.reason for receipt in receipts if "a bug" in receipt.reason]

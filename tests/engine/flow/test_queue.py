"""A full queue: what it does with messages, with people, and to the agent's memory."""

import msgspec
import pytest

from engine.events import Kind
from engine.states import ExecutionState
from engine.store import executions, turns
from engine.store.deadletters import DeadLetter
from engine.store.executions import ExecutionRow
from engine.triggers.intake import QueueFull
from engine.triggers.message import Fate, Message
from engine.values import InvalidValue

TEXT = """
name: w
triggers: [{nats: {subject: "in.>"}}]
flow: %s
nodes:
  a: {type: act, data: "{{ trigger.data.n }}"}
"""


def message(n: int, **data) -> Message:
    return Message(
        subject="in.x", body=msgspec.json.encode({"n": n, **data}), received_at=0, stream="S", stream_created="c",
        sequence=n + 1,
    )  # fmt: skip


def queue(rest: str) -> str:
    return TEXT % f"{{concurrency: 1, key: trigger.data.k|default(null), queue: {rest}}}"


async def fill(rig, gate, text: str, count: int) -> None:
    """One runs, and so many wait."""
    rig.acts["a"] = gate
    await rig.deploy(text)
    await rig.engine.intake.accept([message(0)])
    await gate.until(1)
    receipts = await rig.engine.intake.accept([message(n) for n in range(1, count + 1)])
    assert {receipt.fate for receipt in receipts} <= {Fate.ACCEPTED}


async def test_a_blocking_queue_holds_messages_until_its_low_mark(open_rig, gate, idle):
    async with open_rig() as rig:
        intake = rig.engine.intake
        await fill(rig, gate, queue("{max: 4, low: 2}"), 3)
        receipts = await intake.accept([message(4), message(5), message(6)])
        assert [receipt.fate for receipt in receipts] == [Fate.ACCEPTED, Fate.HELD, Fate.HELD]
        assert receipts[1].retry_seconds > 0
        assert "the queue of w is full" in receipts[1].reason
        assert rig.executor.lines.waiting == 4
        assert intake.room_for().free_slots() == 0
        assert rig.executor.free_slots() > 0

        gate.let_go(0)
        await gate.until(2)
        await idle(rig)
        [receipt] = await intake.accept([message(5)])
        assert receipt.fate is Fate.HELD  # three wait: below full, above low

        gate.let_go(1)
        await gate.until(3)
        await idle(rig)
        assert intake.room_for().free_slots() == 2
        receipts = await intake.accept([message(5), message(6), message(1)])
        assert [receipt.fate for receipt in receipts] == [Fate.ACCEPTED, Fate.ACCEPTED, Fate.DUPLICATE]
        gate.open()
        await gate.until(7)
        assert gate.began == list(range(7))


async def test_a_message_for_two_workflows_is_held_for_the_full_one_alone(open_rig, gate):
    async with open_rig() as rig:
        await fill(rig, gate, queue("{max: 1}"), 1)
        await rig.deploy(
            'name: other\ntriggers: [{nats: {subject: "in.>"}}]\nnodes:\n  b: {type: act, data: "{{ trigger.data.n }}"}'
        )
        rig.acts["b"] = gate
        gate.let_go(7)
        [receipt] = await rig.engine.intake.accept([message(7)])
        assert receipt.fate is Fate.HELD
        await rig.end(receipt.executions[0])
        [again] = await rig.engine.intake.accept([message(7)])
        assert (again.fate, again.executions) == (Fate.HELD, receipt.executions)
        assert rig.called("b") == 1
        assert rig.engine.intake.room_for().free_slots() > 0  # the other one takes messages
        gate.open()


async def test_a_person_is_told_that_the_queue_is_full(open_rig, gate):
    async with open_rig() as rig:
        for which in ("block", "throttle", "drop_newest"):
            name = which.replace("_", "-")
            text = queue(f"{{max: 1, when_full: {which}}}").replace("name: w", f"name: {name}")
            rig.acts["a"] = gate
            await rig.deploy(text)
            await rig.start(name, data={"n": f"{which} 0"})
            await gate.until(len(gate.began) + (f"{which} 0" not in gate.began))
            await rig.start(name, data={"n": f"{which} 1"}, id="one")
            with pytest.raises(QueueFull, match=r"queue of .* is full: nothing was started; try again later"):
                await rig.start(name, data={"n": "never"})
            assert (await rig.engine.intake.start_by_hand(name, id="one")).duplicate  # that one is in
        gate.open()


async def test_drop_oldest_makes_room_and_tells(open_rig, gate):
    async with open_rig() as rig:
        await fill(rig, gate, queue("{max: 3, when_full: drop_oldest}"), 3)
        receipts = await rig.engine.intake.accept([message(n) for n in range(4, 9)])
        assert {receipt.fate for receipt in receipts} == {Fate.ACCEPTED}
        assert rig.executor.lines.waiting == 3
        assert await rig.store.read(lambda db: turns.counts(db)["w"][turns.Turn.READY]) == 3
        dropped = [fact for fact in await rig.facts() if fact.kind is Kind.WORKFLOW_DROPPED]
        assert len(dropped) == 5
        row = await rig.row(dropped[0].execution)
        assert row.status is ExecutionState.CANCELLED
        assert b"the queue of w was full" in row.error
        gate.open()
        await gate.until(4)
        await rig.settled()
        assert gate.began == [0, 6, 7, 8]


async def test_drop_newest_makes_no_execution_and_tells(open_rig, gate):
    async with open_rig() as rig:
        await fill(rig, gate, queue("{max: 3, when_full: drop_newest}"), 3)
        receipts = await rig.engine.intake.accept([message(4), message(5), message(4)])
        assert [receipt.fate for receipt in receipts] == [Fate.DROPPED, Fate.DROPPED, Fate.DUPLICATE]
        facts = [fact for fact in await rig.facts() if fact.kind is Kind.MESSAGE_DROPPED]
        assert len(facts) == 2
        gate.open()
        await gate.until(4)
        [receipt] = await rig.engine.intake.accept([message(4)])
        assert receipt.fate is Fate.DUPLICATE  # it was given up for good
        assert gate.began == [0, 1, 2, 3]
        assert rig.engine.intake.counters["dropped"] == 2


async def test_drop_oldest_lets_the_next_of_a_key_start(open_rig, gate):
    """The dropped one was the first of its key."""
    async with open_rig(max_executions=1) as rig:
        rig.acts["a"] = gate
        await rig.deploy(TEXT % "{key: trigger.data.k, queue: {max: 2, when_full: drop_oldest}}")
        await rig.engine.intake.accept([message(0, k="x")])
        await gate.until(1)
        await rig.engine.intake.accept([message(n, k="y") for n in (1, 2, 3)])
        gate.open()
        await gate.until(3)
        assert gate.began == [0, 2, 3]


async def test_throttle_gets_slower_between_the_marks(open_rig, gate, clock):
    async with open_rig(clock=clock) as rig:
        await fill(rig, gate, queue("{max: 10, low: 5, when_full: throttle}"), 5)
        intake, waits = rig.engine.intake, []
        for n in range(6, 11):
            [receipt] = await intake.accept([message(n)])
            waited = 0.0
            while receipt.fate is Fate.HELD:
                assert intake.room_for().free_slots() == 0
                clock.advance(0.05)
                waited += 0.05
                [receipt] = await intake.accept([message(n)])
            waits.append(round(waited, 2))
        assert waits == sorted(waits)
        assert waits[0] < 0.1 < 0.7 < waits[-1]
        clock.advance(60)
        [receipt] = await intake.accept([message(11)])
        assert receipt.fate is Fate.HELD  # now it is full
        gate.open()


async def test_none_has_no_limit(open_rig, gate):
    async with open_rig() as rig:
        await fill(rig, gate, queue("{max: 1, when_full: none}"), 50)
        assert rig.executor.lines.waiting == 50
        gate.open()


async def test_the_agent_stops_fetching_at_its_high_mark_and_goes_on_at_its_low_one(open_rig, gate, idle):
    async with open_rig(queue_high=5, queue_low=3) as rig:
        await fill(rig, gate, TEXT % "{concurrency: 1}", 4)
        assert rig.executor.free_slots() > 0
        await rig.engine.intake.accept([message(5)])
        assert rig.executor.free_slots() == 0
        refused = await ask_refused(rig)
        assert (refused.code, refused.message[:2]) == (503, "5 ")
        for n in range(2):
            assert rig.executor.free_slots() == 0
            gate.let_go(n)
            await gate.until(n + 2)
            await idle(rig)
        assert rig.executor.free_slots() > 0
        gate.open()


async def ask_refused(rig):
    from engine.control.verb import Refused

    with pytest.raises(Refused) as refused:
        await rig.ask("start", workflow="w", data={"n": 1})
    return refused.value


async def test_memory_is_bounded_behind_a_key_that_does_not_end(open_rig, gate):
    """50,000 behind one key: memory knows none of them, and others start at once."""
    async with open_rig() as rig:
        rig.acts["a"] = gate
        version = await rig.deploy(TEXT % "{key: trigger.data.k}")
        await rig.start(data={"n": 0, "k": "x"})
        await gate.until(1)
        rows = [
            ExecutionRow(
                id=f"e{n}", workflow="w", version=version, status=ExecutionState.QUEUED, root=f"e{n}", created_at=0,
                trigger=b'{"kind": "nats", "data": {"n": 1, "k": "x"}}', place=turns.Place(key="x"),
            )
            for n in range(50_000)
        ]  # fmt: skip
        await rig.store.submit(lambda tx: [executions.create(tx, row) for row in rows])
        rig.executor.admit(rows)
        lines = rig.executor.lines
        assert (lines.waiting, len(lines.line("w").window), len(rig.executor._queue)) == (50_000, 0, 0)
        gate.let_go("other")
        await rig.start(data={"n": "other", "k": "y"})
        assert (await gate.until(2))[1] == "other"


async def test_a_key_that_can_not_be_evaluated_is_a_dead_letter(open_rig):
    async with open_rig() as rig:
        await rig.deploy(TEXT % "{key: trigger.data.device}")
        [receipt] = await rig.engine.intake.accept([message(1)])
        assert receipt.fate is Fate.DEAD
        assert receipt.reason.startswith("flow.key: ")
        with pytest.raises(InvalidValue, match=r"flow\.key: "):
            await rig.start(data={"n": 1})
        [letter] = (await rig.ask("deadletters"))["deadletters"]
        assert letter["workflow"] == "w"


async def test_what_the_agent_starts_itself_stands_under_the_empty_key_if_its_key_fails(open_rig):
    handler = "name: h\nflow: {key: trigger.data.device}\nnodes:\n  a: {type: act}\n"
    async with open_rig() as rig:
        await rig.deploy(handler)
        await rig.deploy("name: w\non_failure: h\nnodes:\n  f: {type: fail, message: no}\n")
        await rig.end(await rig.start())
        done = await rig.event(lambda e: e.workflow == "h" and e.kind is Kind.WORKFLOW_COMPLETED)
        assert (await rig.row(done.execution)).status is ExecutionState.COMPLETED


async def test_an_id_of_the_workflows_own_starts_nothing_twice(open_rig):
    async with open_rig() as rig:
        await rig.deploy(TEXT % "{dedupe: trigger.data.id|default(null)}")
        accept = rig.engine.intake.accept
        receipts = await accept([message(1, id="x"), message(2, id="x"), message(3), message(4), message(4)])
        fates = [receipt.fate.value for receipt in receipts]
        assert fates == ["accepted", "duplicate", "accepted", "accepted", "duplicate"]


async def test_a_dead_letter_that_finds_a_full_queue_stays_one(open_rig, gate):
    async with open_rig() as rig:
        await fill(rig, gate, queue("{max: 1}"), 1)
        letter = DeadLetter(id=1, origin="intake", subject="in.x", reason="", body=b'{"n": 9}', size=8, received_at=0)
        with pytest.raises(QueueFull):
            await rig.engine.intake.replay(letter)
        assert not [fact for fact in await rig.facts() if fact.kind is Kind.MESSAGE_REPLAYED]
        gate.open()

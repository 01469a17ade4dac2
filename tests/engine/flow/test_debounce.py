"""Only the last message before a quiet time starts, also over a restart and a clock that is set."""

import itertools

from engine.events import Kind
from engine.states import ExecutionState
from engine.store import turns

TEXT = """
name: w
flow: {debounce: %s, key: trigger.data.device}
nodes:
  a: {type: act, data: "{{ trigger.data.n }}"}
"""


async def test_only_the_last_message_within_the_quiet_time_starts(open_rig, clock, gate, idle):
    async with open_rig(clock=clock) as rig:
        rig.acts["a"] = gate
        gate.open()
        await rig.deploy(TEXT % "5s")
        ids = []
        for n in range(4):
            ids.append(await rig.start(data={"device": "f1", "n": n}))
            clock.advance(4)
            rig.executor.wake()
            await idle(rig)
        other = await rig.start(data={"device": "f2", "n": "other"})
        clock.advance(1)
        rig.executor.wake()
        await rig.end(ids[3])
        assert gate.began == [3]

        for old, new in itertools.pairwise(ids):
            row = await rig.row(old)
            assert row.status is ExecutionState.CANCELLED
            [fact] = await rig.facts(old)
            assert fact.kind is Kind.WORKFLOW_SUPERSEDED
            assert f'"by":"{new}"'.encode() in bytes(fact.data)
        clock.advance(4)
        rig.executor.wake()
        await rig.end(other)
        assert rig.executor.lines.waiting == 0


async def test_the_first_quiet_time_of_an_agent_ends_by_itself(open_rig):
    async with open_rig() as rig:
        await rig.deploy(TEXT % "50ms")
        row = await rig.end(await rig.start(data={"device": "f1", "n": 1}))

    assert row.status is ExecutionState.COMPLETED


async def test_a_stream_without_quiet_starts_at_the_latest_after_the_maximum(open_rig, clock, gate, idle):
    async with open_rig(clock=clock) as rig:
        rig.acts["a"] = gate
        gate.open()
        await rig.deploy(TEXT % "{for: 5s, max: 12s}")
        for n in range(7):
            await rig.start(data={"device": "f1", "n": n})
            clock.advance(3)
            rig.executor.wake()
            await idle(rig)
        assert gate.began == [3]  # came after 9 s; its 5 s would have ended after 14
        clock.advance(60)
        rig.executor.wake()
        await gate.until(2)
        assert gate.began == [3, 6]


async def test_a_quiet_time_goes_on_over_a_restart(open_rig, clock, gate, idle):
    async with open_rig(clock=clock) as rig:
        rig.acts["a"] = gate
        await rig.deploy(TEXT % "10s")
        await rig.start(data={"device": "f1", "n": 0})
        clock.advance(6)
    async with open_rig(clock=clock) as rig:
        rig.acts["a"] = gate
        gate.open()
        last = await rig.start(data={"device": "f1", "n": 1})
        clock.advance(6)
        rig.executor.wake()
        await idle(rig)
        assert gate.began == []
        clock.advance(4)
        rig.executor.wake()
        await rig.end(last)
        assert gate.began == [1]


async def test_what_was_quiet_before_a_long_outage_starts_at_boot(open_rig, clock, gate):
    async with open_rig(clock=clock) as rig:
        await rig.deploy(TEXT % "10s")
        id = await rig.start(data={"device": "f1", "n": 0})
    clock.advance(3600)
    async with open_rig(clock=clock) as rig:
        await rig.end(id)


async def test_a_clock_that_is_put_back_ends_the_quiet_times(open_rig, clock, gate):
    async with open_rig(clock=clock) as rig:
        await rig.deploy(TEXT % "10s")
        id = await rig.start(data={"device": "f1", "n": 0})
        clock.micros -= 3600 * 1_000_000
        rig.executor.wake()
        await rig.end(id)


async def test_what_was_released_is_superseded_no_more(open_rig, clock, gate, idle):
    """Its quiet time is over; that others of its key run is another matter."""
    async with open_rig(clock=clock) as rig:
        rig.acts["a"] = gate
        await rig.deploy(TEXT % "5s")
        ids = []
        for n in range(3):
            ids.append(await rig.start(data={"device": "f1", "n": n}))
            clock.advance(6)
            rig.executor.wake()
            await idle(rig)
        assert await rig.store.read(turns.counts) == {"w": {turns.Turn.TAKEN: 1, turns.Turn.BEHIND: 2}}
        gate.open()
        for id in ids:
            await rig.end(id)
        assert gate.began == [0, 1, 2]

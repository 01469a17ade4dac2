"""Who is behind, and whose clock is wrong."""

import pytest

from engine.clock import format_time
from engine.fleet.event import Track
from mesh.presence.members import Standing
from mesh.recorder.watch import AGAIN_SECONDS, LATE_SECONDS, Watch

SECOND = 1_000_000


@pytest.fixture
def watch(clock):
    return Watch(clock)


def track(last_seq: int, *, agent: str = "pi-1", epoch: str = "e1") -> Track:
    return Track(
        agent=agent, epoch=epoch, first_seq=1, last_seq=last_seq, last_time=1, received_at=1, events=last_seq,
        missing=0, lost=0, conflicts=0,
    )  # fmt: skip


def ranges(watch: Watch) -> list[tuple[str, int, int]]:
    return [(gap.agent, gap.first, gap.last) for gap in watch.tails()]


async def test_an_agent_is_late_since_it_said_what_is_not_recorded(watch, fleet, clock):
    fleet.says("pi-1", "e1", 12)
    watch.look(fleet.members, [track(10)])
    clock.advance(20)
    fleet.says("pi-1", "e1", 14)
    watch.look(fleet.members, [track(11)])
    assert watch.late_seconds("pi-1") == 20

    watch.look(fleet.members, [track(12)])  # what it said then is here; what it says now is not
    assert watch.late_seconds("pi-1") == 0
    clock.advance(5)
    assert watch.late_seconds("pi-1") == 5

    watch.look(fleet.members, [track(14)])
    assert watch.late_seconds("pi-1") == 0


async def test_what_should_be_here_by_now_is_told_and_told_again_after_a_while(watch, fleet, clock):
    fleet.says("pi-1", "e1", 12)
    watch.look(fleet.members, [track(10)])
    assert ranges(watch) == []
    clock.advance(LATE_SECONDS)
    assert ranges(watch) == [("pi-1", 11, 12)]
    assert ranges(watch) == []
    clock.advance(AGAIN_SECONDS)
    assert ranges(watch) == [("pi-1", 11, 12)]


@pytest.mark.parametrize("state", [Standing.LOST, Standing.STOPPED])
async def test_nobody_is_late_who_is_not_there(watch, fleet, clock, state):
    fleet.says("pi-1", "e1", 12)
    watch.look(fleet.members, [track(10)])
    fleet.says("pi-1", "e1", 12, state=state)
    watch.look(fleet.members, [track(10)])
    clock.advance(LATE_SECONDS)

    assert ranges(watch) == []


async def test_a_new_epoch_of_which_nothing_is_recorded_is_not_late(watch, fleet, clock):
    fleet.says("pi-1", "e2", 12)
    watch.look(fleet.members, [track(10)])
    clock.advance(LATE_SECONDS)

    assert ranges(watch) == []
    assert watch.late_seconds("pi-1") == 0


async def test_the_clock_of_an_agent_is_judged_by_a_beat_that_was_heard(watch, fleet, clock):
    fleet.says("pi-1", "e1", 1, time=format_time(clock.now() + 60 * SECOND), age=3.0)
    watch.look(fleet.members, [])
    assert watch.skew_seconds("pi-1") is None  # it was there before: how old it is nobody knows

    clock.advance(5)
    fleet.says("pi-1", "e1", 1, time=format_time(clock.now() + 60 * SECOND), age=2.0)
    watch.look(fleet.members, [])
    assert watch.skew_seconds("pi-1") == 62

    fleet.says("pi-1", "e1", 1, time="nonsense", age=2.0)
    watch.look(fleet.members, [])
    assert watch.skew_seconds("pi-1") is None
    watch.look([], [])
    assert watch.skew_seconds("pi-1") is None

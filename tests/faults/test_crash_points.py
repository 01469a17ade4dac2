"""kill -9 at each named point, at its first passing, at its second …, until a run no longer comes so far.

The next process starts in what the killed one left, and may be killed during its recovery.
"""

import re

import pytest

from tests.faults.agent import ROOT

pytestmark = [pytest.mark.nats, pytest.mark.crash]

WAVES, BATCH = 2, 3
"""New messages for each process: the second wave comes when the first is through."""
PASSINGS = (1, 2, 3, 5, 9, 17, 33, 65, 129, 257)
POINTS = (
    "intake-after-fetch",
    "inbox-after-insert",
    "before-commit",
    "after-commit",
    "intake-after-commit",
    "intake-after-commit-before-ack",
    "intake-after-ack",
    "effect-before-result",
    "checkpoint-before-commit",
    "relay-after-publish-before-mark",
    "publication-after-publish-before-mark",
)


@pytest.mark.parametrize("point", POINTS)
async def test_nothing_is_lost_or_done_twice_when_the_agent_is_killed(siege, point, record_property) -> None:
    kills = 0
    for passing in PASSINGS:
        await siege.agent.spawn(crash_at=f"{point}:{passing}")
        if all([await siege.done(siege.publish(BATCH)) for _ in range(WAVES)]):
            break
        assert siege.agent.killed_itself, siege.agent.said()
        kills += 1
    else:
        pytest.fail(f"{point} was still passed {PASSINGS[-1]} times")
    record_property("kills", kills)
    print(f"{point}: {kills} kills, {siege.sink.repeats} repeated calls")
    assert kills >= 2, "the point was hardly passed: this says nothing"  # a busy machine makes larger batches
    await siege.agent.stop()  # or it comes to the point while it stops
    assert await siege.agent.start()
    await siege.check()


def test_every_crash_point_is_tried() -> None:
    """Here, or by the test of what it belongs to."""
    called = re.compile(r"crash_point\(\"([a-z-]+)\"\)")
    files = (path for folder in ("engine", "mesh", "agent", "plugins") for path in (ROOT / folder).rglob("*.py"))
    there = {point for file in files for point in called.findall(file.read_text())}
    tried = {
        word
        for file in (ROOT / "tests").rglob("*.py")
        for word in re.findall(r"[\"']([a-z-]+)(?::\d+)?[\"']", file.read_text())
    }
    assert there - tried == set()
    assert set(POINTS) - there == set()

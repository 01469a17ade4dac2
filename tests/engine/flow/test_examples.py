"""The examples of flows do what they say."""

from pathlib import Path

import msgspec

from engine.events import Kind
from engine.triggers.message import Fate, Message

EXAMPLES = Path(__file__).parents[3] / "examples"


def message(sequence: int, subject: str, **data) -> Message:
    return Message(
        subject=subject,
        body=msgspec.json.encode(data),
        received_at=0,
        stream="S",
        stream_created="c",
        sequence=sequence,
    )


async def test_commands_go_one_at_a_time_to_each_machine(open_rig, clock, idle):
    async with open_rig(clock=clock) as rig:
        await rig.deploy((EXAMPLES / "one-at-a-time.yaml").read_text())
        receipts = await rig.engine.intake.accept(
            [
                message(1, "command.press-1", id="a1", do="open"),
                message(2, "command.press-1", id="a2", do="close"),
                message(3, "command.press-2", id="b1", do="open"),
                message(4, "command.press-2", id="b1", do="open"),
            ]
        )
        assert [receipt.fate for receipt in receipts] == [Fate.ACCEPTED] * 3 + [Fate.DUPLICATE]
        [a1], [a2], [b1] = (receipt.executions for receipt in receipts[:3])
        for id in (a1, b1):
            await rig.kind(Kind.NODE_WAITING, id)
        assert await rig.nodes(a2) == {}
        while (await rig.row(a2)).finished_at is None:
            clock.advance(1)
            rig.executor.wake()
            await idle(rig)
        subjects = [publication.subject for publication in await rig.engine.outbox.publications()]
        assert sorted(subjects) == ["machine.press-1", "machine.press-1", "machine.press-2"]


async def test_only_the_newest_position_is_forwarded(open_rig, clock, idle):
    async with open_rig(clock=clock) as rig:
        await rig.deploy((EXAMPLES / "latest-only.yaml").read_text())
        for n in range(5):
            await rig.engine.intake.accept([message(n + 1, "position.truck-7", lat=n)])
            clock.advance(0.5)
        assert await rig.engine.outbox.publications() == []
        clock.advance(2)
        rig.executor.wake()
        await rig.kind(Kind.WORKFLOW_COMPLETED)
        [forwarded] = await rig.engine.outbox.publications()
        assert (forwarded.subject, forwarded.body) == ("newest.truck-7", b'{"lat":4}')
        assert [fact.kind for fact in await rig.facts()].count(Kind.WORKFLOW_SUPERSEDED) == 4

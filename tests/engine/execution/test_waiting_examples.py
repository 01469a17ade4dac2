"""The examples of waiting, asking and calling do what they say."""

from pathlib import Path

import msgspec
import pytest

from engine.events import Kind
from engine.states import ExecutionState
from engine.triggers.message import Message

EXAMPLES = Path(__file__).parents[3] / "examples"


def text(name: str) -> str:
    return (EXAMPLES / f"{name}.yaml").read_text()


async def tell(rig, subject: str, data) -> None:
    message = Message(subject=subject, body=msgspec.json.encode(data), received_at=1, stream="S")
    await rig.engine.intake.accept([message])


@pytest.mark.parametrize("early", [True, False], ids=["paid before it is ordered", "paid later"])
async def test_wait_for_payment_ships_what_is_paid(rig, decoded, early):
    await rig.deploy(text("wait-for-payment"))
    if early:
        await tell(rig, "orders.17.paid", {"order": 17, "amount": 250})
    await tell(rig, "orders.new", {"order": 17})
    started = await rig.kind(Kind.WORKFLOW_STARTED)
    if not early:
        await rig.kind(Kind.NODE_WAITING, started.execution)
        await tell(rig, "orders.17.paid", {"order": 17, "amount": 250})
    row = await rig.end(started.execution)

    assert decoded(row.outputs) == {"shipped": True}
    assert (await rig.states(row.id))["cancel"] == "skipped"


async def test_wait_for_payment_gives_up_after_three_days(open_rig, clock, decoded):
    async with open_rig(clock=clock) as rig:
        await rig.deploy(text("wait-for-payment"))
        execution = await rig.start("wait-for-payment", {"order": 1})
        while (await rig.row(execution)).status is not ExecutionState.WAITING:
            await rig.settled()
        clock.advance(3 * 86_400)
        rig.executor.wake()

        assert decoded((await rig.end(execution)).outputs) == {"shipped": False}


async def test_ask_first_does_what_the_person_says(rig, decoded):
    await rig.deploy(text("ask-first"))
    execution = await rig.start("ask-first", {"pump": "p3"})
    await rig.kind(Kind.FORM_OPENED, execution)
    [form] = (await rig.ask("forms"))["forms"]
    assert form["title"] == "Restart p3?"
    await rig.ask("submit", form=form["form"][:5], values={"restart": True}, by="ann")

    assert decoded((await rig.end(execution)).outputs) == {"restarted": True}


async def test_call_another_converts_each_in_a_child(rig, decoded):
    rig.engine.services.workflows_dir = EXAMPLES
    row = await rig.run(text("call-another"), [32, 50, 212])

    assert decoded(row.outputs) == [0.0, 10.0, 100.0]
    shown = await rig.ask("show", execution=row.id)
    assert len(shown["children"]) == 3

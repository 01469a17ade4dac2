"""Forms: opened, filled in once, expired; through restarts, and while the execution is paused."""

import msgspec
import pytest

from engine.control import Refused
from engine.events import Kind
from engine.states import FINISHED, ExecutionState

ASK = """\
name: w
nodes:
  ask:
    type: form
    title: "Restart {{ trigger.data.pump }}?"
    message: "It has stopped."
    fields:
      approve: {type: boolean, required: true}
      minutes: {type: integer, default: 5, min: 1, max: 60}
    within: 1h
  go: {type: act, needs: ask, data: "{{ nodes.ask }}"}
outputs: "{{ nodes.go }}"
"""
SEVERAL = """\
name: w
nodes:
  one: {type: form, title: One}
  two: {type: form, title: Two, assignees: [ann, bob]}
outputs: "{{ [nodes.one.by, nodes.two.by] }}"
"""


async def opened(rig, text: str = ASK, data=None) -> tuple[str, str]:
    """The execution, parked, and its form."""
    await rig.deploy(text)
    execution = await rig.start(data=data or {"pump": "p3"})
    fact = await rig.kind(Kind.FORM_OPENED, execution)
    await parked(rig, execution)
    return execution, msgspec.json.decode(fact.data)["form"]


async def parked(rig, execution: str, state: ExecutionState = ExecutionState.WAITING) -> None:
    while (row := await rig.row(execution)).status is not state or execution in rig.executor._running:
        assert row.status not in FINISHED, row.error
        await rig.settled()


async def test_an_open_form_is_listed_with_its_fields(rig, clock):
    execution, form = await opened(rig)

    [found] = (await rig.ask("forms"))["forms"]

    assert found["form"] == form
    assert len(form) == 10
    assert (found["title"], found["message"], found["status"]) == ("Restart p3?", "It has stopped.", "open")
    assert found["execution"] == execution
    assert found["node"] == "ask"
    assert found["fields"]["minutes"]["default"] == 5
    assert rig.executor.free_slots() == 100


async def test_what_is_submitted_becomes_the_output_with_who_and_when(rig, decoded):
    execution, form = await opened(rig)

    answer = await rig.ask("submit", form=form[:4], values={"approve": True}, by="ann")
    row = await rig.end(execution)

    assert answer["values"] == {"approve": True, "minutes": 5}
    output = decoded(row.outputs)
    assert output["values"] == {"approve": True, "minutes": 5}
    assert output["by"] == "ann"
    assert output["at"]
    assert (await rig.ask("forms"))["forms"] == []
    [past] = (await rig.ask("forms", all=True))["forms"]
    assert past["status"] == "submitted"
    assert past["answer"]["by"] == "ann"
    kinds = [fact.kind for fact in await rig.facts(execution)]
    assert kinds.count(Kind.FORM_OPENED) == kinds.count(Kind.FORM_SUBMITTED) == 1
    assert Kind.FORM_EXPIRED not in kinds


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "approve: a value is required"),
        ({"approve": 3}, "approve: expected true or false, got 3"),
        ({"approve": True, "minutes": 99}, "minutes: 99 is more than max 60"),
        ({"approve": True, "minuts": 9}, "minuts: there is no field minuts; did you mean minutes?"),
    ],
)
async def test_unfit_values_are_refused_field_by_field(rig, values, said):
    _, form = await opened(rig)

    with pytest.raises(Refused) as refused:
        await rig.ask("submit", form=form, values=values)

    assert refused.value.code == 422
    assert said in refused.value.message
    assert len((await rig.ask("forms"))["forms"]) == 1


async def test_a_form_is_submitted_once(rig):
    execution, form = await opened(rig)
    await rig.ask("submit", form=form, values={"approve": False}, by="ann")

    for _ in range(2):  # at once, and when the execution has ended
        with pytest.raises(Refused, match=f"form {form} was submitted by ann at 20"):
            await rig.ask("submit", form=form, values={"approve": True}, by="bob")
        await rig.end(execution)


async def test_several_forms_are_open_at_once_and_for_whom_they_are(rig, decoded):
    execution, _ = await opened(rig, SEVERAL)
    while len(found := (await rig.ask("forms"))["forms"]) < 2:
        await rig.settled()
    one, two = (next(form["form"] for form in found if form["title"] == title) for title in ("One", "Two"))

    assert [form["title"] for form in (await rig.ask("forms", assignee="carl"))["forms"]] == ["One"]
    with pytest.raises(Refused, match="for ann, bob, not for carl"):
        await rig.ask("submit", form=two, by="carl")
    await rig.ask("submit", form=two, by="bob")
    await rig.ask("submit", form=one)
    row = await rig.end(execution)

    assert decoded(row.outputs) == ["", "bob"]


async def test_a_form_whose_time_is_over_fails_its_node(open_rig, clock, decoded):
    async with open_rig(clock=clock) as rig:
        execution, form = await opened(rig)
        clock.advance(3601)
        with pytest.raises(Refused, match="closed: its time was over"):
            await rig.ask("submit", form=form, values={"approve": True})
        rig.executor.wake()
        row = await rig.end(execution)

        assert row.status is ExecutionState.FAILED
        assert decoded(row.error)["kind"] == "timeout"
        fact = await rig.kind(Kind.FORM_OPENED, execution)
        assert b'"until":"2026-11-18T12:06:40' in bytes(fact.data)
        fact = await rig.kind(Kind.FORM_EXPIRED, execution)
        assert b"time is over" in bytes(fact.data)
        [past] = (await rig.ask("forms", all=True))["forms"]
        assert past["status"] == "closed"


@pytest.mark.parametrize(
    ("say", "output"),
    [("on_timeout: continue", None), ("on_timeout: default", {"approve": False})],
)
async def test_what_happens_without_an_answer_is_the_files_choice(open_rig, clock, decoded, say, output):
    text = (
        "name: w\nnodes:\n  ask: {type: form, title: x, fields: {approve: {type: boolean, default: false}}, "
        f"within: 1h, {say}}}\noutputs: '{{{{ nodes.ask }}}}'\n"
    )
    async with open_rig(clock=clock) as rig:
        execution, _ = await opened(rig, text)
        clock.advance(3601)
        rig.executor.wake()
        found = decoded((await rig.end(execution)).outputs)

        assert found == output or found == {"values": output, "by": None, "at": None}


async def test_a_form_is_open_after_a_restart_and_submitted_while_paused(open_rig, decoded):
    async with open_rig() as rig:
        execution, form = await opened(rig)
        await rig.steering.pause(execution)
    async with open_rig() as rig:
        await rig.ask("submit", form=form, values={"approve": True})
        await rig.settled()
        assert (await rig.row(execution)).status is ExecutionState.PAUSED
        await rig.steering.resume(execution)
        row = await rig.end(execution)

        assert decoded(row.outputs)["values"]["approve"] is True


async def test_an_answer_that_nobody_was_told_of_is_taken_at_the_next_start(open_rig, decoded):
    async with open_rig() as rig:
        execution, form = await opened(rig)
    async with open_rig(running=False) as rig:
        await rig.ask("submit", form=form, values={"approve": True})
    async with open_rig() as rig:
        assert decoded((await rig.end(execution)).outputs)["values"]["approve"] is True


async def test_the_form_of_a_cancelled_execution_is_withdrawn(rig):
    execution, form = await opened(rig)
    await rig.steering.cancel(execution)

    fact = await rig.kind(Kind.FORM_EXPIRED, execution)
    assert b"withdrawn" in bytes(fact.data)
    with pytest.raises(Refused, match="closed"):
        await rig.ask("submit", form=form, values={"approve": True})


async def test_a_beginning_that_fits_several_or_none_is_refused(rig):
    await opened(rig)
    with pytest.raises(Refused, match="no form zzzz"):
        await rig.ask("submit", form="zzzz")
    with pytest.raises(Refused, match="which form"):
        await rig.ask("submit", form=" ")

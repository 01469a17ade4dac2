"""Waiting: for messages that come before and after, for executions, for a time; through restarts and versions."""

import msgspec
import pytest

from engine.definition import InvalidWorkflow
from engine.definition.model import At, Deliver
from engine.events import Kind
from engine.states import FINISHED, ExecutionState
from engine.triggers.message import Fate, Message
from engine.triggers.routes import External

PAID = """\
name: w
triggers: [{nats: {subject: orders.new}}]
nodes:
  paid:
    type: wait
    message: {subject: "orders.*.paid", key: message.data.order, equals: "{{ trigger.data.order }}"}
    within: 1h
  ship: {type: act, needs: paid, data: "{{ nodes.paid.data }}"}
outputs: "{{ nodes.ship }}"
"""


class Sender:
    """Messages as the agent's own stream hands them over."""

    def __init__(self, rig) -> None:
        self._rig = rig
        self._sequence = 0

    async def send(self, subject: str, data, *, sequence: int | None = None, **more):
        self._sequence = sequence or self._sequence + 1
        message = Message(
            subject=subject, body=msgspec.json.encode(data), received_at=self._rig.store.clock.now(),
            stream=more.pop("stream", "S"), stream_created="c", sequence=self._sequence, **more,
        )  # fmt: skip
        [receipt] = await self._rig.engine.intake.accept([message])
        return receipt


async def parked(rig, execution: str, state: ExecutionState = ExecutionState.WAITING) -> None:
    while (row := await rig.row(execution)).status is not state or execution in rig.executor._running:
        assert row.status not in FINISHED, row.error
        await rig.settled()


async def kept(rig) -> int:
    return await rig.store.read(lambda db: db.execute("SELECT COUNT(*) FROM kept_messages").fetchone()[0])


async def waits_left(rig) -> int:
    return await rig.store.read(lambda db: db.execute("SELECT COUNT(*) FROM waits").fetchone()[0])


# --- messages -------------------------------------------------------------------------------------------------------


async def test_the_message_with_the_same_key_wakes_the_one_that_waits_for_it(rig, decoded):
    await rig.deploy(PAID)
    first, second = await rig.start(data={"order": 1}), await rig.start(data={"order": 2})
    await parked(rig, first)
    await parked(rig, second)
    assert rig.executor.free_slots() == 100

    receipt = await Sender(rig).send("orders.shop.paid", {"order": 2, "by": "card"})
    row = await rig.end(second)

    assert receipt.fate is Fate.ACCEPTED
    assert decoded(row.outputs) == {"order": 2, "by": "card"}
    assert (await rig.row(first)).status is ExecutionState.WAITING
    output = decoded((await rig.nodes(second))["paid"].output)
    assert output["subject"] == "orders.shop.paid"
    assert output["id"]
    assert await kept(rig) == 0
    assert await waits_left(rig) == 1


async def test_a_message_that_came_before_is_taken_by_the_first_that_waits(rig, decoded):
    await rig.deploy(PAID)
    sender = Sender(rig)
    assert (await sender.send("orders.a.paid", {"order": 7, "n": 1})).fate is Fate.ACCEPTED
    assert (await sender.send("orders.a.paid", {"order": 7, "n": 2})).fate is Fate.ACCEPTED
    assert await kept(rig) == 2

    outputs = [decoded((await rig.end(await rig.start(data={"order": 7}))).outputs)["n"] for _ in range(2)]
    third = await rig.start(data={"order": 7})
    await parked(rig, third)

    assert outputs == [1, 2]
    assert await kept(rig) == 0


async def test_one_message_wakes_all_that_wait_for_it_and_the_same_delivery_nobody_again(rig):
    await rig.deploy(PAID)
    started = [await rig.start(data={"order": 3}) for _ in range(3)]
    for execution in started:
        await parked(rig, execution)
    sender = Sender(rig)

    await sender.send("orders.a.paid", {"order": 3}, sequence=5)
    for execution in started:
        await rig.end(execution)

    assert (await sender.send("orders.a.paid", {"order": 3}, sequence=5)).fate is Fate.DUPLICATE
    assert await kept(rig) == 0


async def test_a_message_may_start_an_execution_and_answer_another(rig, decoded):
    await rig.deploy(
        "name: w\ntriggers: [{nats: {subject: ping}}]\nnodes:\n"
        "  next: {type: wait, message: {subject: ping}}\noutputs: '{{ [trigger.data, nodes.next.data] }}'\n"
    )
    sender = Sender(rig)
    [first] = (await sender.send("ping", 1)).executions
    await parked(rig, first)  # the message that started it is not the one that it waits for
    [second] = (await sender.send("ping", 2)).executions

    assert decoded((await rig.end(first)).outputs) == [1, 2]
    assert decoded((await rig.end(second)).outputs) == [2, 1]


async def test_without_an_answer_in_time_the_node_fails(open_rig, clock, decoded):
    async with open_rig(clock=clock) as rig:
        await rig.deploy(PAID)
        execution = await rig.start(data={"order": 1})
        await parked(rig, execution)
        clock.advance(3601)
        rig.executor.wake()
        row = await rig.end(execution)

        assert decoded(row.error)["kind"] == "timeout"
        assert "orders.*.paid did not come within 1h" in decoded(row.error)["message"]
        assert await waits_left(rig) == 0


async def test_or_goes_on_with_null(open_rig, clock, decoded):
    async with open_rig(clock=clock) as rig:
        await rig.deploy(
            PAID.replace("within: 1h", "within: 1h\n    on_timeout: continue").replace('.data }}"}\nout', ' }}"}\nout')
        )
        execution = await rig.start(data={"order": 1})
        await parked(rig, execution)
        clock.advance(3601)
        rig.executor.wake()

        assert decoded((await rig.end(execution)).outputs) is None


async def test_a_kept_message_is_forgotten_after_its_time(open_rig, clock):
    async with open_rig(clock=clock) as rig:
        await rig.deploy(PAID)
        await Sender(rig).send("orders.a.paid", {"order": 1})
        clock.advance(601)
        execution = await rig.start(data={"order": 1})
        await parked(rig, execution)

        assert (await rig.row(execution)).status is ExecutionState.WAITING


async def test_with_no_buffer_a_message_that_nobody_waits_for_is_nobodys(rig):
    await rig.deploy(PAID.replace("equals:", "buffer: 0s, equals:"))
    assert (await Sender(rig).send("orders.a.paid", {"order": 1})).fate is Fate.UNMATCHED
    assert await kept(rig) == 0


async def test_too_many_kept_messages_push_the_oldest_out_which_a_fact_tells(rig, monkeypatch):
    monkeypatch.setattr("engine.store.kept.MAX_MESSAGES", 2)
    await rig.deploy(PAID)
    sender = Sender(rig)
    for order in (1, 2, 3):
        await sender.send("orders.a.paid", {"order": order})

    fact = await rig.kind(Kind.MESSAGE_DROPPED)
    assert msgspec.json.decode(fact.data)["count"] == 1
    assert await kept(rig) == 2
    await parked(rig, await rig.start(data={"order": 1}))
    await rig.end(await rig.start(data={"order": 3}))


async def test_a_key_that_a_message_does_not_have_makes_a_dead_letter(rig):
    await rig.deploy(PAID)
    receipt = await Sender(rig).send("orders.a.paid", {"ordre": 1})

    assert receipt.fate is Fate.DEAD
    assert "nodes.paid.message.key" in receipt.reason
    assert "default(null)" in receipt.reason
    assert (await Sender(rig).send("orders.a.paid", "{")).fate is Fate.DEAD


async def test_answers_reach_the_waiting_over_a_restart_and_while_it_is_down(open_rig, decoded):
    async with open_rig() as rig:
        await rig.deploy(PAID)
        early, late = await rig.start(data={"order": 1}), await rig.start(data={"order": 2})
        await parked(rig, early)
        await parked(rig, late)
    async with open_rig(running=False) as rig:
        await Sender(rig).send("orders.a.paid", {"order": 1}, sequence=1)
    async with open_rig() as rig:
        await rig.end(early)
        await Sender(rig).send("orders.a.paid", {"order": 2}, sequence=2)
        assert decoded((await rig.end(late)).outputs) == {"order": 2}


async def test_a_message_that_comes_while_it_is_paused_acts_on_resume(rig):
    await rig.deploy(PAID)
    execution = await rig.start(data={"order": 1})
    await parked(rig, execution)
    await rig.steering.pause(execution)
    await Sender(rig).send("orders.a.paid", {"order": 1})
    await rig.settled()
    assert (await rig.row(execution)).status is ExecutionState.PAUSED

    await rig.steering.resume(execution)
    await rig.end(execution)


async def test_executions_of_an_older_version_still_hear_what_they_wait_for(rig, decoded):
    await rig.deploy(PAID)
    execution = await rig.start(data={"order": 1})
    await parked(rig, execution)
    await rig.deploy("name: w\nnodes:\n  a: {type: act}\n")
    assert "orders.*.paid" in rig.engine.intake.routes.intake_subjects
    await rig.engine.undeploy("w")

    await Sender(rig).send("orders.a.paid", {"order": 1})
    assert decoded((await rig.end(execution)).outputs) == {"order": 1}


async def test_a_wait_inside_a_loop_has_a_key_for_each_iteration(rig, decoded):
    await rig.deploy("""\
name: w
nodes:
  all:
    type: foreach
    items: trigger.data
    concurrency: 3
    nodes:
      paid: {type: wait, message: {subject: paid, key: message.data, equals: "{{ item }}"}}
    output: "{{ nodes.paid.data }}"
outputs: "{{ nodes.all }}"
""")
    execution = await rig.start(data=["a", "b", "c"])
    await parked(rig, execution)
    sender = Sender(rig)
    for name in ("c", "a", "b"):
        await sender.send("paid", name)

    assert decoded((await rig.end(execution)).outputs) == ["a", "b", "c"]


async def test_params_may_stand_in_the_subject(rig, decoded):
    await rig.deploy(
        "name: w\nparams: {site: {type: string, required: true}}\nnodes:\n"
        '  m: {type: wait, message: {subject: "{{ params.site }}.ready"}}\n', site="berlin",
    )  # fmt: skip
    assert rig.engine.intake.routes.intake_subjects == ("berlin.ready",)


async def test_lanes_of_waits_are_those_that_they_ask_for(rig):
    await rig.deploy("""\
name: w
nodes:
  a: {type: wait, message: {subject: a.one}}
  b: {type: wait, message: {subject: b.one, capture: core}}
  c: {type: wait, message: {subject: c.one, stream: OTHER}}
""")
    routes = rig.engine.intake.routes
    assert routes.intake_subjects == ("a.one",)
    assert routes.core_subjects == ("b.one",)
    assert [(one.workflow, one.stream, one.subjects) for one in routes.externals] == [("w", "OTHER", ("c.one",))]
    execution = await rig.start()
    await parked(rig, execution)
    sender = Sender(rig)
    assert (await sender.send("b.one", 1)).fate is Fate.UNMATCHED  # not by this lane
    assert (await sender.send("a.one", 1)).fate is Fate.ACCEPTED
    assert (await sender.send("b.one", 1, stream="")).fate is Fate.ACCEPTED
    assert (await sender.send("c.one", 1, stream="OTHER", workflow="w")).fate is Fate.ACCEPTED
    await rig.end(execution)


async def test_what_a_wait_is_for_goes_to_every_agent_that_shares_the_stream(rig):
    await rig.deploy("""\
name: w
triggers: [{nats: {subject: orders.new, stream: ORDERS, at: hub}}]
nodes:
  paid: {type: wait, message: {subject: "orders.*.paid", stream: ORDERS, at: hub}}
""")
    assert rig.engine.intake.routes.externals == (
        External("w", "ORDERS", ("orders.*.paid",), At.HUB, Deliver.ALL),
        External("w", "ORDERS", ("orders.new",), At.HUB, Deliver.ONE),
    )
    execution = await rig.start()
    await parked(rig, execution)
    sender, here = Sender(rig), {"stream": "ORDERS", "workflow": "w", "at": At.HUB}
    assert (await sender.send("orders.1.paid", 1, **{**here, "at": At.OWN})).fate is not Fate.ACCEPTED
    assert (await sender.send("orders.1.paid", 1, **here, deliver=Deliver.ONE)).fate is not Fate.ACCEPTED
    assert (await sender.send("orders.1.paid", 1, **here, deliver=Deliver.ALL)).fate is Fate.ACCEPTED
    await rig.end(execution)


# --- executions, times ----------------------------------------------------------------------------------------------

OTHER = "name: o\nnodes:\n  a: {type: act, data: 7}\noutputs: '{{ nodes.a }}'\n"
FOLLOW = "name: w\nnodes:\n  end: {type: wait, execution: '{{ trigger.data }}'}\noutputs: '{{ nodes.end }}'\n"


async def test_it_waits_for_another_execution_whether_that_has_ended_or_not(rig, decoded):
    await rig.deploy(OTHER)
    await rig.deploy(FOLLOW)
    ended = (await rig.end(await rig.start("o"))).id
    row = await rig.end(await rig.start(data=ended))
    assert decoded(row.outputs) == {"execution": ended, "status": "completed", "outputs": 7, "error": None}

    await rig.deploy(PAID.replace("name: w", "name: p"))
    other = await rig.start("p", data={"order": 1})
    waiting = await rig.start(data=other)
    await parked(rig, waiting)
    await rig.steering.cancel(other)
    assert decoded((await rig.end(waiting)).outputs)["status"] == "cancelled"


async def test_an_execution_that_is_not_there_fails_the_node(rig, decoded):
    await rig.deploy(FOLLOW)
    row = await rig.end(await rig.start(data="01nobody"))
    assert decoded(row.error)["kind"] == "not_found"


async def test_it_waits_for_a_time_as_sleep_does(open_rig, clock, decoded):
    async with open_rig(clock=clock) as rig:
        await rig.deploy("name: w\nnodes:\n  s: {type: wait, duration: 7d}\noutputs: '{{ nodes.s }}'\n")
        execution = await rig.start()
        await parked(rig, execution)
        clock.advance(7 * 86_400)
        rig.executor.wake()
        assert "slept_until" in decoded((await rig.end(execution)).outputs)


# --- what a file may say --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ("", "exactly one of duration, until, message, execution"),
        ("duration: 1s, execution: x", "takes exactly one of"),
        ("duration: 1s, within: 2s", "a wait for a time has no within"),
        ("message: {subject: a.b, key: message.data.x}", "no value to compare it with"),
        ("message: {subject: a.b, equals: 1}", "nothing to compare it with"),
        ("message: {subject: a.b, key: '{{ message.data }}', equals: 1}", "an expression already"),
        ("message: {subject: a.b, key: trigger.data, equals: 1}", "trigger is not known when a message arrives"),
        ("message: {subject: a.b, key: message.date, equals: 1}", "did you mean data?"),
        ("message: {subject: a.b, key: 'message.', equals: '{{ trigger.id }}'}", "message.key"),
        ("message: {sbject: a.b, equals: '{{ trigger.id }}'}", "did you mean subject?"),
        ("message: {subject: '{{ trigger.id }}'}", "trigger is not known when this is read"),
        ("message: {subject: '*.b'}", "the first token must not be a wildcard"),
        ("message: {subject: a.b, buffer: soon, key: message.id, equals: '{{ trigger.id }}'}", "buffer"),
        ("message: {subject: a.b, capture: core, stream: X}", "capture: core reads from no stream"),
    ],
)
async def test_mistakes_in_a_wait_are_told_with_their_remedy(rig, fields, said):
    with pytest.raises(InvalidWorkflow) as refused:
        await rig.deploy(f"name: w\nnodes:\n  a: {{type: wait, {fields}}}\n")
    assert said in str(refused.value)

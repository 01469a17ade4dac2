"""An event on the wire."""

import json
import re

from engine.contract import Fail
from engine.events import LIVE, Event, Identity, Kind, cloudevent

ME = Identity("fridge-7", "default", "abcd1234")


def wire(**fields) -> dict:
    return json.loads(cloudevent(Event(**{"kind": Kind.NODE_COMPLETED, "time": 1_795_000_000_123_456} | fields), ME))


def test_fact_has_what_cloudevents_asks_for():
    assert wire(seq=7, workflow="w", version=2, execution="e", node="a", data={"attempt": 1}) == {
        "specversion": "1.0",
        "id": "fridge-7/abcd1234/7",
        "source": "/ganglion/default/fridge-7",
        "type": "ganglion.node.completed",
        "subject": "e",
        "time": "2026-11-18T11:06:40.123456Z",
        "datacontenttype": "application/json",
        "sequence": "7",
        "epoch": "abcd1234",
        "workflow": "w",
        "version": 2,
        "node": "a",
        "data": {"attempt": 1},
    }


def test_attributes_that_say_nothing_are_left_out():
    fact = wire(kind=Kind.AGENT_STARTED, seq=1)

    assert {"subject", "node", "version"}.isdisjoint(fact)
    assert fact["workflow"] == "_"


def test_names_of_attributes_are_lower_case_letters():
    assert all(re.fullmatch("[a-z]{1,20}", name) for name in wire(seq=1, execution="e", node="a"))


def test_live_event_has_no_sequence():
    live = wire(kind=Kind.NODE_STARTED, execution="e", node="a")

    assert {"sequence", "epoch"}.isdisjoint(live)
    assert live["id"]


def test_live_events_of_one_moment_have_ids_of_their_own():
    events = [
        wire(kind=kind, execution=execution, node=node, data=data)["id"]
        for kind in (Kind.LEVEL_COMPLETED, Kind.CHECKPOINT_CREATED)
        for execution in ("e", "f")
        for node in ("", "a")
        for data in ({"level": 0}, {"level": 1})
    ]

    assert len(set(events)) == len(events) == 16


async def test_facts_stay_small_whatever_nodes_say(rig):
    async def act(ctx, data):
        return Fail("x" * 1_000_000, kind="k" * 1_000_000)

    rig.acts["a"] = act
    row = await rig.run(
        "name: w\nevents: {outputs: true}\nnodes:\n"
        "  a: {type: act, default: '{{ trigger.data }}'}\n  b: {type: act, data: '{{ nodes.a }}'}\n"
        "outputs: '{{ nodes.b }}'\n",
        data="y" * 500_000,
    )

    assert row.status == "completed"
    assert all(len(cloudevent(fact, ME)) < 64 * 1024 for fact in await rig.facts())


async def test_outputs_travel_only_where_the_workflow_says_so_and_only_small_ones(rig):
    text = "name: %s\n%snodes:\n  a: {type: act, data: small}\n  b: {type: act, data: '{{ trigger.data }}'}\n"
    loud = await rig.run(text % ("loud", "events: {outputs: true}\n"), "z" * 20_000)
    quiet = await rig.run(text % ("quiet", ""), "z" * 20_000)

    def data(facts, node):
        return next(json.loads(bytes(f.data)) for f in facts if f.node == node)

    loud_facts, quiet_facts = await rig.facts(loud.id), await rig.facts(quiet.id)
    assert data(loud_facts, "a")["output"] == "small"
    assert "output" not in data(loud_facts, "b")
    assert "output" not in data(quiet_facts, "a")


async def test_live_events_of_an_execution_tell_its_progress(rig):
    row = await rig.run("name: w\nnodes:\n  a: {type: act}\n  b: {type: act}\n  c: {type: calc, needs: [a, b]}\n")
    kinds = [e.kind for e in rig.seen if e.execution == row.id]

    assert kinds.count(Kind.NODE_STARTED) == 3
    assert kinds.count(Kind.LEVEL_STARTED) == kinds.count(Kind.LEVEL_COMPLETED) == 2
    assert Kind.CHECKPOINT_CREATED in kinds
    [*_, progress] = [e.data for e in rig.seen if e.kind is Kind.PROGRESS_UPDATE]
    assert progress == {"settled": 3, "total": 3}


async def test_what_no_outbox_numbers_is_of_a_live_kind(rig):
    row = await rig.run("name: w\nnodes:\n  all: {type: foreach, items: '[1, 2]', nodes: {a: {type: act}}}\n")
    await rig.settled()
    of_this = [event for event in rig.seen if event.execution == row.id]

    assert Kind.ITERATION_COMPLETED in {event.kind for event in of_this}
    assert all((event.seq == 0) == (event.kind in LIVE) for event in of_this)

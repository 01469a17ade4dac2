"""What each verb answers, and how it refuses."""

import asyncio

import msgspec
import pytest

from engine.contract import Done, Fail
from engine.control import Refused
from engine.events import Kind
from engine.states import ExecutionState
from engine.store import deadletters
from engine.store.deadletters import MAX_BODY, DeadLetter
from engine.triggers.message import Message

TWO = """\
name: w
params: {limit: {type: number, default: 4, max: 10}}
nodes:
  a: {type: act, data: "{{ params.limit }}"}
  b: {type: act, needs: a}
outputs: "{{ nodes.a }}"
"""


async def refusal(rig, verb: str, **fields) -> Refused:
    with pytest.raises(Refused) as refused:
        await rig.ask(verb, **fields)
    return refused.value


async def forever(ctx, data):
    await asyncio.Event().wait()


def test_every_verb_has_typed_requests_and_answers_and_a_description(rig_verbs):
    for verb in rig_verbs:
        assert verb.name.isalpha()
        assert verb.name.islower()
        assert verb.description.endswith(".")
        assert verb.request.__struct_config__.forbid_unknown_fields
    assert len({verb.name for verb in rig_verbs}) == len(rig_verbs)


@pytest.fixture
async def rig_verbs(rig):
    return rig.verbs.values()


# --- definitions ----------------------------------------------------------------------------------------------------


async def test_deploy_answers_version_and_address(rig):
    answer = await rig.ask("deploy", source=TWO + "triggers: [{nats: {subject: in.x}}]\n")

    assert answer == {
        "workflow": "w",
        "version": 1,
        "changed": True,
        "subjects": ["ganglion.trigger.default.a1.w", "in.x"],
        "warnings": [],
    }
    assert (await rig.ask("deploy", source=TWO + "triggers: [{nats: {subject: in.x}}]\n"))["changed"] is False


async def test_deploy_of_a_file_with_errors_is_422_with_all_of_them(rig):
    refused = await refusal(rig, "deploy", source="name: w\nnodes: {a: {type: nope}}\nfoo: 1\n", filename="x.yaml")

    assert refused.code == 422
    assert "x.yaml:2" in refused.message
    assert "x.yaml:3" in refused.message


async def test_deploy_with_unfit_params_is_422(rig):
    assert (await refusal(rig, "deploy", source=TWO, params={"limit": 11})).code == 422


async def test_undeploy_of_what_is_not_deployed_is_404(rig):
    await rig.deploy(TWO)
    assert "undeployed" in (await rig.ask("undeploy", workflow="w"))["message"]
    refused = await refusal(rig, "undeploy", workflow="w")

    assert (refused.code, refused.message) == (404, "w is not deployed; `ganglion workflows` lists what is")
    assert (await rig.ask("workflows"))["definitions"] == []


async def test_followers_are_told_before_a_deploy_is_answered(rig):
    told = []

    async def follow():
        told.append(sorted(rig.engine.intake.routes.active))

    rig.engine.followers.append(follow)
    await rig.ask("deploy", source=TWO)
    await rig.ask("deploy", source=TWO)
    await rig.ask("undeploy", workflow="w")

    assert told == [["w"], []]


# --- executions -----------------------------------------------------------------------------------------------------


async def test_start_answers_the_execution_and_the_same_for_the_same_id(rig):
    await rig.deploy(TWO)
    first = await rig.ask("start", workflow="w", data={"x": 1}, params={"limit": 5}, id="once")
    again = await rig.ask("start", workflow="w", id="once")

    assert first == {"execution": first["execution"], "workflow": "w", "version": 1, "duplicate": False}
    assert again == first | {"duplicate": True}
    await rig.end(first["execution"])
    shown = await rig.ask("show", execution=first["execution"])
    assert (shown["outputs"], shown["params"], shown["trigger"]["data"]) == (5, {"limit": 5}, {"x": 1})


async def test_start_refuses_unknown_workflows_and_unfit_params_and_data(rig):
    await rig.deploy(TWO)
    deep: list = []
    for _ in range(200):
        deep = [deep]

    assert (await refusal(rig, "start", workflow="v")).code == 404
    assert (await refusal(rig, "start", workflow="w", params={"limit": 50})).code == 422
    assert (await refusal(rig, "start", workflow="w", params={"limt": 5})).code == 422
    assert (await refusal(rig, "start", workflow="w", data="x" * 2_000_000)).code == 422
    assert (await refusal(rig, "start", workflow="w", data=deep)).code == 422


async def test_list_is_newest_first_and_can_be_filtered_and_paged(rig):
    async def fail(ctx, data):
        return Fail("no")

    await rig.deploy(TWO)
    await rig.deploy("name: v\nnodes:\n  f: {type: act}")
    rig.acts["f"] = fail
    ids = [await rig.start("w") for _ in range(3)] + [await rig.start("v")]
    for id in ids:
        await rig.end(id)

    async def listed(**fields):
        return [row["execution"] for row in (await rig.ask("list", **fields))["executions"]]

    assert await listed() == ids[::-1]
    assert await listed(workflow="v") == ids[3:]
    assert await listed(status=["failed"]) == ids[3:]
    assert await listed(limit=2) == [ids[3], ids[2]]
    assert await listed(limit=-1) == [ids[3]]
    assert await listed(before=3) == [ids[1], ids[0]]
    assert (await rig.ask("list", status=["failed"]))["executions"][0]["error"] == "no"


async def test_list_with_a_state_that_is_none_is_400(rig):
    refused = await refusal(rig, "list", status=["done"])

    assert refused.code == 400
    assert "the states are queued, running" in refused.message


async def test_show_tells_all_nodes_in_the_order_of_the_plan(rig):
    rig.acts["b"] = forever
    await rig.deploy(TWO + "on_failure: w\n")
    execution = await rig.start()
    await rig.kind(Kind.NODE_STARTED, execution, "b")
    shown = await rig.ask("show", execution=execution)

    assert [(node["path"], node["status"], node["attempt"]) for node in shown["nodes"]] == [
        ("a", "completed", 1),
        ("b", "running", 1),
    ]
    assert shown["nodes"][0]["output"] == 4
    assert shown["nodes"][1]["needs"] == ["a"]
    assert shown["info"]["status"] == "running"
    assert shown["error"] is None


async def test_execution_is_found_by_the_beginning_of_its_id(rig):
    await rig.deploy(TWO)
    first, second = await rig.start(), await rig.start()
    for execution in (first, second):
        await rig.end(execution)
    common = next(i for i in range(26) if first[i] != second[i])

    assert (await rig.ask("show", execution=first[: common + 1].upper()))["info"]["execution"] == first
    refused = await refusal(rig, "show", execution=first[:common])
    assert (refused.code, first in refused.message, second in refused.message) == (409, True, True)
    for unknown in ("zzz", "", "%", "'"):
        assert (await refusal(rig, "show", execution=unknown)).code == 404


@pytest.mark.parametrize("verb", ["show", "pause", "resume", "cancel"])
async def test_verbs_of_executions_refuse_unknown_ones(rig, verb):
    refused = await refusal(rig, verb, execution="nobody")

    assert (refused.code, refused.message) == (404, "no execution nobody; `ganglion ps --all` lists them")


@pytest.mark.parametrize(("verb", "done"), [("pause", "paused"), ("resume", "resumed"), ("cancel", "cancelled")])
async def test_verbs_that_do_not_fit_the_state_are_409(rig, verb, done):
    row = await rig.run(TWO)
    refused = await refusal(rig, verb, execution=row.id)

    assert refused.code == 409
    assert refused.message.startswith(f"{row.id} can't be {done}: an execution that is completed")


async def test_pause_resume_and_cancel_say_what_happens(rig):
    rig.acts["a"] = forever
    await rig.deploy("name: w\nnodes:\n  s: {type: sleep, duration: 1h}\n  a: {type: act, needs: s}\n")
    execution = await rig.start()
    while (await rig.row(execution)).status is not ExecutionState.WAITING:
        await rig.settled()

    assert "pauses when" in (await rig.ask("pause", execution=execution))["message"]
    assert "goes on" in (await rig.ask("resume", execution=execution))["message"]
    assert (await rig.ask("cancel", execution=execution, reason="x"))["message"].endswith(("cancelled", "cancelling"))
    await rig.end(execution)


async def test_resolve_takes_exactly_one_answer_and_only_nodes_in_doubt(rig):
    rig.acts["a"] = forever
    await rig.deploy("name: w\nnodes:\n  a: {type: once, timeout: 5ms}\n  b: {type: act, needs: a}\n")
    execution = await rig.start()
    while (await rig.row(execution)).status is not ExecutionState.WAITING:
        await rig.settled()

    for fields in ({}, {"retry": True, "failed": "x"}, {"completed": None, "retry": True}):
        assert (await refusal(rig, "resolve", execution=execution, node="a", **fields)).code == 400
    refused = await refusal(rig, "resolve", execution=execution, node="b", retry=True)
    assert (refused.code, refused.message) == (409, "b is not in doubt; in doubt are: a")
    assert (await refusal(rig, "resolve", execution="nobody", node="a", retry=True)).code == 404

    assert "is resolved" in (await rig.ask("resolve", execution=execution, node="a", completed=None))["message"]
    assert (await rig.end(execution)).status is ExecutionState.COMPLETED


async def test_damaged_execution_is_422_to_be_shown(rig):
    row = await rig.run(TWO)
    await rig.store.submit(lambda tx: tx.execute("UPDATE nodes SET output = x'00'"))

    assert (await refusal(rig, "show", execution=row.id)).code == 422


# --- dead letters ---------------------------------------------------------------------------------------------------


async def dead(rig, **fields) -> int:
    body = fields.pop("body", b"\xff\xfe")
    letter = DeadLetter(
        **{"origin": "outbox", "subject": "log.x", "reason": "too large", "body": body, "size": len(body),
           "received_at": 1} | fields
    )  # fmt: skip
    return await rig.store.submit(lambda tx: deadletters.bury(tx, letter))


async def test_dead_letters_are_listed_newest_first_and_shown_with_their_body(rig):
    first, second = await dead(rig, body=b"text"), await dead(rig)
    listed = (await rig.ask("deadletters"))["deadletters"]

    assert [letter["id"] for letter in listed] == [second, first]
    assert (await rig.ask("deadletter", id=first))["body"] == "text"
    assert (await rig.ask("deadletter", id=second))["body"] == "b'\\xff\\xfe'"
    assert len((await rig.ask("deadletters", limit=-3))["deadletters"]) == 1


async def test_unknown_dead_letter_is_404(rig):
    for verb in ("deadletter", "replay"):
        assert (await refusal(rig, verb, id=77)).code == 404


async def test_replay_of_a_refused_publication_puts_it_into_the_outbox_again(rig):
    number = await dead(rig)
    assert "in the outbox again" in (await rig.ask("replay", id=number))["message"]

    [message] = await rig.engine.outbox.publications()
    assert (message.subject, message.body) == ("log.x", b"\xff\xfe")
    assert (await rig.ask("deadletter", id=number))["replayed_at"] is not None


async def test_replay_of_a_message_starts_its_workflow_or_is_422(rig):
    await rig.deploy(TWO + "triggers: [{nats: {subject: in.x}}]\n")
    message = Message(subject="in.x", body=b"not json", received_at=1, stream="S", stream_created="c", sequence=1)
    await rig.engine.intake.accept([message])
    [letter] = (await rig.ask("deadletters"))["deadletters"]
    refused = await refusal(rig, "replay", id=letter["id"])
    assert refused.code == 422
    assert "dead again" in refused.message

    number = await dead(rig, origin="intake", subject="in.x", body=b"{}", workflow="w")
    assert "starts 0" in (await rig.ask("replay", id=number))["message"]


async def test_replay_of_what_was_not_kept_whole_is_409(rig):
    number = await dead(rig, body=b"x" * (MAX_BODY + 1))

    assert (await refusal(rig, "replay", id=number)).code == 409


# --- looking on -----------------------------------------------------------------------------------------------------


async def test_events_are_cloudevents_and_can_be_paged(rig):
    row = await rig.run(TWO)
    events = (await rig.ask("events", execution=row.id))["events"]

    assert [event["type"] for event in events] == [
        "ganglion.workflow.started",
        "ganglion.node.completed",
        "ganglion.node.completed",
        "ganglion.workflow.completed",
    ]
    assert events[0]["id"] == f"a1/{rig.store.epoch}/{events[0]['sequence']}"
    after = int(events[1]["sequence"])
    assert (await rig.ask("events", execution=row.id, after=after, limit=1))["events"] == [events[2]]
    assert (await rig.ask("events", limit=1))["events"] == [events[3]]


async def test_engine_tells_how_it_is(rig):
    held = asyncio.Event()

    async def hold(ctx, data):
        await held.wait()
        return Done()

    rig.acts["a"] = hold
    await rig.deploy(TWO)
    done, running = await rig.start(), await rig.start()
    await rig.kind(Kind.NODE_STARTED, running, "a")
    await rig.settled()
    status = await rig.ask("engine")
    held.set()
    for execution in (done, running):
        await rig.end(execution)

    assert (status["state"], status["executions"], status["workflows"]) == ("running", {"running": 2}, 1)
    assert status["free_slots"] == 98
    after = await rig.ask("engine")
    assert after["counters"]["executions.completed"] == 2
    assert after["counters"]["messages.accepted"] == 2
    rig.engine.drain()
    assert (await rig.ask("engine"))["state"] == "draining"


async def test_unknown_fields_of_a_request_are_refused(rig):
    with pytest.raises(msgspec.ValidationError, match="unknown field `dta`"):
        await rig.ask("start", workflow="w", dta=1)

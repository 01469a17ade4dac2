"""`agent_loop` in an execution, with the real model: approvals, failures, limits, restarts, and what people see."""

import asyncio

import pytest

from engine.contract import Done, Fail, Retry
from engine.events import Kind
from engine.states import ExecutionState
from engine.values import Json

ANSWER = "fridge-07 is at 14.2 C, relay-3 is on"
READ, SET = "act/tool[0]/read_sensor", "act/tool[1]/set_relay"
TEXT = """\
name: w
nodes:
  act:
    type: agent_loop
    model: triage-tiny
    goal: "If fridge-07 is above 8 C, switch relay-3 on."
    tools:
      read_sensor: {arguments: {id: {type: string, maxLength: 20}}, reads: true}
      set_relay: {arguments: {id: {type: string, maxLength: 20}, state: {enum: ["on", "off"]}}}
      send_alert: {arguments: {message: {type: string, maxLength: 60}}}
    nodes:
      read_sensor: {type: act, data: {id: "{{ arguments.id }}", celsius: 14.2}}
      set_relay: {type: act, data: "{{ arguments }}"}
      send_alert: {type: act, data: "{{ arguments }}"}
outputs: "{{ nodes.act }}"
"""


def having(line: str) -> str:
    """The workflow with one more line in the node."""
    return TEXT.replace("    tools:\n", f"    {line}\n    tools:\n")


def said(entries: list[dict[str, Json]]) -> list[str]:
    return [f"{entry['role']} {entry.get('tool', '')}".strip() for entry in entries]


async def transcript(rig, id: str) -> list[dict[str, Json]]:
    return (await rig.ask("show", execution=id))["nodes"][0]["transcript"]


async def test_it_reads_acts_and_answers(rig, decoded) -> None:
    row = await rig.run(TEXT)
    output = decoded(row.outputs)
    assert (output["answer"], output["stopped"], output["steps"], output["calls"]) == (ANSWER, "answer", 3, 2)
    assert rig.ran() == [READ, SET]
    assert output["llm"]["output_tokens"] > 20
    assert output["transcript"] == await transcript(rig, row.id)
    assert said(output["transcript"]) == [
        "user", "assistant", "tool read_sensor", "assistant", "tool set_relay", "assistant"
    ]  # fmt: skip


async def test_two_loops_of_a_file_may_have_tools_that_the_model_calls_by_one_name(rig, decoded) -> None:
    """Names of nodes are unique in a file; those that a model is told need not be."""
    again = TEXT.partition("nodes:\n")[2].partition("outputs:")[0].replace("  act:", "  again:")
    for tool in ("read_sensor", "set_relay", "send_alert"):
        again = again.replace(f"{tool}: {{arguments", f"{tool}_2: {{name: {tool}, arguments")
        again = again.replace(f"{tool}: {{type", f"{tool}_2: {{type")
    row = await rig.run(TEXT.replace("outputs:", again + "outputs:").replace("nodes.act }}", "nodes.again }}"))
    assert decoded(row.outputs)["answer"] == ANSWER
    assert {"again/tool[0]/read_sensor_2", "again/tool[1]/set_relay_2"} <= set(rig.ran())


async def test_an_approval_waits_over_a_restart(open_rig, decoded) -> None:
    async with open_rig() as rig:
        await rig.deploy(having("taint: strict"))
        id = await rig.start()
        await rig.kind(Kind.NODE_WAITING, id, "act/approval[0]/ask")
        assert rig.called(SET) == 0
        assert said(await transcript(rig, id)) == ["user", "assistant", "tool read_sensor", "assistant"]
    async with open_rig() as rig:
        [form] = (await rig.ask("forms"))["forms"]
        assert form["title"] == "Allow set_relay?"
        assert form["message"] == (
            'set_relay with {"id":"relay-3","state":"on"}: it changes something, and the model has read what '
            "read_sensor gave, which nobody vouches for"
        )
        await rig.ask("submit", form=form["form"], values={"approve": True, "reason": "go on"}, by="anna")
        row = await rig.end(id)
        assert decoded(row.outputs)["answer"] == ANSWER
        assert rig.ran() == [SET], "nothing is read or generated again"
        decisions = [entry["content"] for entry in await transcript(rig, id) if entry["role"] == "approval"]
        assert decisions == ["allowed by anna: go on"]


async def test_what_a_person_denies_is_not_done_and_the_model_is_told(rig) -> None:
    await rig.deploy(having("taint: strict").replace("    tools:\n", "    max_steps: 2\n    tools:\n"))
    id = await rig.start()
    await rig.kind(Kind.NODE_WAITING, id)
    [form] = (await rig.ask("forms"))["forms"]
    await rig.ask("submit", form=form["form"], values={"approve": False, "reason": "not now"})
    await rig.end(id)
    assert rig.called(SET) == 0
    decision, denied = (await transcript(rig, id))[-2:]
    assert decision["content"] == "denied by somebody: not now"
    assert denied["content"] == '{"error":{"kind":"denied","message":"a person does not allow it: not now"}}'


async def test_an_approval_that_expires_is_a_denial_and_no_failure(rig, decoded) -> None:
    row = await rig.run(having("taint: strict").replace("    tools:\n", "    approval: {within: 20ms}\n    tools:\n"))
    assert row.status is ExecutionState.COMPLETED
    assert decoded(row.statistics)["failed"] == 0
    assert "nobody allowed it in time" in str(decoded(row.outputs)["transcript"])


async def test_a_tool_that_fails_first_is_tried_again_before_the_model_hears_of_it(rig, decoded) -> None:
    async def act(ctx, data):
        return Retry("not yet", kind="unreachable") if ctx.attempt == 1 else Done(data)

    rig.acts[READ] = act
    row = await rig.run(
        TEXT.replace("read_sensor: {type: act,", "read_sensor: {type: act, retry: {max: 1, delay: 1ms},")
    )
    assert decoded(row.outputs)["answer"] == ANSWER
    assert rig.ran() == [READ, READ, SET]


async def test_a_tool_that_fails_is_told_to_the_model_and_the_loop_goes_on(rig, decoded) -> None:
    async def act(ctx, data):
        return Fail("the sensor is broken", kind="broken")

    rig.acts[READ] = act
    row = await rig.run(having("max_steps: 2"))
    told = await transcript(rig, row.id)
    assert told[2]["content"] == '{"error":{"kind":"broken","message":"the sensor is broken"}}'
    assert "act/turn[1]/model" in await rig.nodes(row.id)


@pytest.mark.parametrize("tolerance", ["critical: false", "on_error: continue"])
async def test_the_failure_of_a_tool_that_is_not_critical_is_told_too(rig, tolerance) -> None:
    async def act(ctx, data):
        return Fail("the sensor is broken", kind="broken")

    rig.acts[READ] = act
    text = having("max_steps: 2")
    assert "read_sensor: {type: act" in text
    row = await rig.run(text.replace("read_sensor: {type: act", f"read_sensor: {{{tolerance}, type: act"))
    told = await transcript(rig, row.id)
    assert told[2]["content"] == '{"error":{"kind":"broken","message":"the sensor is broken"}}'


async def test_max_steps_fails_the_node_and_people_see_what_was_said(rig, decoded) -> None:
    row = await rig.run(having("max_steps: 1"))
    assert row.status is ExecutionState.FAILED
    assert decoded(row.error) == {
        "kind": "max_steps", "node": "act",
        "message": "no answer after 1 turns, which is max_steps; `ganglion show` has the transcript",
    }  # fmt: skip
    assert said(await transcript(rig, row.id)) == ["user", "assistant", "tool read_sensor"]


async def test_stop_when_ends_it(rig, decoded) -> None:
    row = await rig.run(having('stop_when: call.tool == "set_relay" and call.result.state == "on" and step == 1'))
    output = decoded(row.outputs)
    assert (output["stopped"], output["answer"], output["steps"], output["calls"]) == ("stop_when", None, 2, 2)


async def test_tokens_of_all_turns_are_bounded_together(rig, decoded) -> None:
    """Three turns take 366; what is promised before the third is more than is left."""
    row = await rig.run(having("limits: {llm_tokens: 390}").replace("    tools:\n", "    max_tokens: 60\n    tools:\n"))
    assert (decoded(row.error)["kind"], row.status) == ("limit", ExecutionState.FAILED)
    states = await rig.states(row.id)
    assert (states["act/turn[0]/model"], states["act/turn[2]/model"]) == ("completed", "failed")


async def test_a_cancel_ends_a_generation_and_opens_nothing_more(rig) -> None:
    await rig.deploy(TEXT)
    id = await rig.start()
    await rig.kind(Kind.NODE_STARTED, id, "act/turn[1]/model")
    await rig.ask("cancel", execution=id)
    row = await rig.end(id)
    assert row.status is ExecutionState.CANCELLED
    assert rig.ran() == [READ]
    assert (await rig.states(id))["act"] == "cancelled"


async def test_a_pause_keeps_what_was_said_and_goes_on_after_it(rig, decoded) -> None:
    go = asyncio.Event()

    async def act(ctx, data):
        await go.wait()
        return Done(data)

    rig.acts[READ] = act
    await rig.deploy(TEXT)
    id = await rig.start()
    await rig.kind(Kind.NODE_STARTED, id, READ)
    await rig.ask("pause", execution=id)
    go.set()
    await rig.kind(Kind.WORKFLOW_PAUSED, id)
    await rig.ask("resume", execution=id)
    assert decoded((await rig.end(id)).outputs)["answer"] == ANSWER


async def test_a_deadline_ends_it(rig, decoded) -> None:
    async def act(ctx, data):
        await asyncio.Event().wait()

    rig.acts[READ] = act
    row = await rig.run(having("deadline: 500ms"))
    assert (decoded(row.error)["kind"], decoded(row.error)["node"]) == ("timeout", "act")


@pytest.mark.parametrize(
    "tool",
    [
        "{type: workflow, workflow: sensor, input: '{{ arguments }}'}",
        "{type: try, nodes: {ask: {type: fail, message: 'no'}}, catch: {nodes: {guess: {type: act, data: "
        "{id: '{{ arguments.id }}', celsius: 14.2}}}}}",
        "{type: foreach, items: '[arguments.id]', nodes: {one: {type: act, data: {id: '{{ item }}', celsius: 14.2}}}}",
    ],
    ids=["workflow", "try", "foreach"],
)
async def test_a_tool_may_be_a_workflow_or_hold_nodes_of_its_own(rig, decoded, tool) -> None:
    await rig.deploy('name: sensor\nnodes:\n  a: {type: act}\noutputs: {id: "{{ trigger.data.id }}", celsius: 14.2}\n')
    text = TEXT.replace('{type: act, data: {id: "{{ arguments.id }}", celsius: 14.2}}', tool)
    if "foreach" in tool:
        text = text.replace("reads: true}", 'reads: true, result: "{{ nodes.read_sensor[0] }}"}')
    row = await rig.run(text)
    assert decoded(row.outputs)["answer"] == ANSWER


async def test_a_large_result_is_kept_whole_and_told_cut_also_after_a_restart(open_rig) -> None:
    async def large(ctx, data):
        return Done({"celsius": 14.2, "log": "x" * 200_000})

    async with open_rig() as rig:
        rig.acts[READ] = large
        row = await rig.run(having("max_steps: 1").replace("    tools:\n", "    max_result: 64\n    tools:\n"))
        rows = await rig.nodes(row.id)
        assert rows[READ].large == rows["act/tool[0]"].large is not None, "stored once"
        told = (await transcript(rig, row.id))[2]["content"]
        assert told.startswith('{"cut":"the first 64 of 200025 bytes"')
    async with open_rig() as rig:
        assert (await transcript(rig, row.id))[2]["content"] == told


async def test_a_retry_after_the_end_calls_no_tool_again_that_failed_and_was_dealt_with(rig) -> None:
    async def act(ctx, data):
        return Fail("no", kind="broken")

    rig.acts[READ] = act
    row = await rig.run(having("max_steps: 1"))
    before = len(rig.calls)
    retried = await rig.engine.rerun.retry(row.id)
    assert retried.forgotten == []
    await rig.event(lambda e: e.kind is Kind.WORKFLOW_FAILED and e.execution == row.id and e.time > row.finished_at)
    assert rig.ran()[before:] == []


async def test_what_leaves_the_memory_becomes_a_note_that_the_model_writes(rig, decoded) -> None:
    row = await rig.run(
        having("memory: {window: 1, summarise: true}").replace("    tools:\n", "    max_steps: 3\n    tools:\n")
    )
    rows = await rig.nodes(row.id)
    note = decoded(rows["act/summary[0]/note"].output)["text"].strip()
    shown = await rig.ask("show", execution=row.id, node="act/turn[2]/model")
    messages = shown["nodes"][0]["inputs"]["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant", "tool"]
    assert note in messages[0]["content"]
    assert messages[1]["calls"][0]["name"] != "read_sensor", "that turn is in the note"

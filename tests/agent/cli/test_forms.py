"""`ganglion forms` and `submit`, and waits for real messages, with a real agent."""

import json
import os
import select

import nats
import pytest

pytestmark = pytest.mark.nats

ASK = """\
name: ask
nodes:
  ask:
    type: form
    title: "Restart {{ trigger.data }}?"
    message: It has stopped.
    fields:
      approve: {type: boolean, required: true, description: true restarts it}
      minutes: {type: integer, default: 5, min: 1, max: 60}
outputs: "{{ nodes.ask }}"
"""
PAID = """\
name: paid
triggers: [{nats: {subject: orders.new}}]
nodes:
  paid: {type: wait, message: {subject: "orders.*.paid", key: message.data.order, equals: "{{ trigger.data.order }}"}}
outputs: "{{ nodes.paid.data }}"
"""
CALLS = "name: caller\nnodes:\n  s: {type: workflow, workflow: asks}\n"


@pytest.fixture
def agent(start, shell):
    one = start()
    assert one("deploy", shell.write("ask.yaml", ASK)).code == 0
    return one


def opened(agent, until, data: str = '"p3"') -> tuple[str, str]:
    """An execution, and its form once that is open."""
    execution = agent("trigger", "ask", "--data", data, "--json").json["execution"]
    found = until(lambda: [f for f in agent("forms", "--json").json["forms"] if f["execution"] == execution])
    return execution, found[0]["form"]


def test_an_open_form_is_listed_shown_and_submitted(agent, until) -> None:
    execution, form = opened(agent, until)

    listed = agent("forms").out
    assert form in listed
    assert "Restart p3?" in listed
    shown = agent("forms", form[:5]).out
    assert "It has stopped." in shown
    assert "integer >= 1 <= 60" in shown
    assert f"ganglion submit {form} -d" in shown

    done = agent("submit", form[:5], "-d", '{"approve": true}', "--by", "ann")
    assert done.code == 0, done.err
    until(lambda: agent.status(execution) == "completed")
    outputs = agent("show", execution, "--json").json["outputs"]
    assert outputs["values"] == {"approve": True, "minutes": 5}
    assert outputs["by"] == "ann"
    assert "no open forms" in agent("forms").out
    assert "submitted" in agent("forms", "--all").out


def test_what_does_not_fit_is_told_for_each_field(agent, until) -> None:
    _, form = opened(agent, until)

    done = agent("submit", form, "-d", '{"minutes": 99}')
    assert done.code == 2
    assert "approve: a value is required" in done.err
    assert "minutes: 99 is more than max 60" in done.err
    assert "are an object" in agent("submit", form, "-d", "[1]").err
    assert "the form asks for approve, minutes" in agent("submit", form).err  # no terminal
    assert agent("submit", "zzzz", "-d", "{}").code == 1
    assert agent("submit", form, "-d", '{"approve": true}', "--by", "ann").code == 0
    again = agent("submit", form, "-d", '{"approve": true}')
    assert again.code == 1
    assert "was submitted by ann at" in again.err


def test_on_a_terminal_it_asks_field_by_field(agent, until, shell) -> None:
    execution, form = opened(agent, until)
    said = b""
    with shell.on_terminal("submit", form, "--data-dir", agent.data_dir) as (process, person):
        for question, reply in ((b"approve (", b"yes\n"), (b"minutes (", b"\n")):
            while question not in said:
                assert select.select([person], [], [], 20)[0], said
                said += os.read(person, 4096)
            os.write(person, reply)
        while select.select([person], [], [], 20)[0]:
            try:
                said += os.read(person, 4096)
            except OSError:
                break
        assert process.wait(20) == 0, said
    until(lambda: agent.status(execution) == "completed")
    assert agent("show", execution, "--json").json["outputs"]["values"] == {"approve": True, "minutes": 5}


async def test_a_wait_takes_messages_that_come_before_and_after(agent, shell, until) -> None:
    assert agent("deploy", shell.write("paid.yaml", PAID)).code == 0
    client = await nats.connect(agent.ready["nats"])
    try:
        stream = client.jetstream()
        await stream.publish("orders.1.paid", b'{"order": 1, "n": "early"}')
        for order in (1, 2):
            await stream.publish("orders.new", json.dumps({"order": order}).encode())
        until(lambda: "waiting" in [info["status"] for info in agent("ps", "-a", "--json").json["executions"]])
        await stream.publish("orders.2.paid", b'{"order": 2, "n": "late"}')
    finally:
        await client.close()

    def outputs() -> list[str]:
        found = agent("ps", "-a", "--status", "completed", "--json").json["executions"]
        return sorted(agent("show", info["execution"], "--json").json["outputs"]["n"] for info in found)

    assert until(lambda: outputs() == ["early", "late"])


def test_a_call_of_an_unknown_workflow_is_a_warning_until_it_runs(agent, shell, until) -> None:
    path = shell.write("caller.yaml", CALLS)
    assert "no workflow named asks is among these files" in shell("check", path).err
    assert "did you mean ask?" in shell("check", path, "ask.yaml").err
    deployed = agent("deploy", path, "--json").json
    assert any("no workflow named asks is deployed (did you mean ask?)" in one for one in str(deployed).split("'"))
    failed = agent("trigger", "caller", "--wait")
    assert failed.code == 1
    assert "did you mean ask?" in failed.out


def test_run_finds_files_beside_the_one_that_runs(shell) -> None:
    (shell.directory / "flows" / "sub").mkdir(parents=True)
    shell.write(
        "flows/main.yaml", "name: m\nnodes:\n  s: {type: workflow, file: sub/x.yaml}\noutputs: '{{ nodes.s }}'\n"
    )
    shell.write("flows/sub/x.yaml", "name: x\nnodes:\n  a: {type: transform, data: 7}\noutputs: '{{ nodes.a }}'\n")
    assert shell("run", "flows/main.yaml", "--json").json["outputs"] == 7

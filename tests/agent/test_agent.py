"""The whole agent as a process."""

import json
import signal
import subprocess
from collections.abc import Iterator

import nats
import pytest

from mesh.server.binary import find_server

pytestmark = pytest.mark.nats


async def publish(url: str, *messages: tuple[str, str, dict[str, str] | None]) -> None:
    """Publish into JetStream with a client that knows nothing of us."""
    client = await nats.connect(url)
    try:
        for subject, body, headers in messages:
            await client.jetstream().publish(subject, body.encode(), headers=headers)
    finally:
        await client.close()


async def test_a_published_message_becomes_a_completed_execution(start, hello) -> None:
    agent = start()
    deployed = agent("deploy", hello, "-p", "limit=4", "--json").json["deployed"][0]
    assert (deployed["workflow"], deployed["version"], deployed["changed"]) == ("hello", 1, True)
    assert "hello.*" in deployed["subjects"]
    await publish(agent.ready["nats"], ("hello.x", '{"celsius": 9, "name": "f"}', None))
    await publish(agent.ready["nats"], ("ganglion.trigger.default.any.hello", '{"celsius": 3, "name": "f"}', None))
    executions = agent.executions(2)
    assert [info["status"] for info in executions] == ["completed", "completed"]
    shown = agent("show", executions[1]["execution"][:24], "--json").json
    assert shown["outputs"] == {"hot": True}
    assert shown["trigger"]["subject"] == "hello.x"
    text = agent("show", executions[1]["execution"]).out
    assert "→ then" in text
    events = agent("events", "-n", "1000", "--json").lines
    assert [int(event["sequence"]) for event in events] == list(range(1, len(events) + 1))
    assert [event["type"] for event in events].count("ganglion.workflow.completed") == 2
    assert agent.end() == 0


async def test_the_same_message_twice_is_one_execution(start, hello) -> None:
    agent = start()
    agent("deploy", hello)
    message = ("hello.x", '{"celsius": 9, "name": "f"}', {"Nats-Msg-Id": "7"})
    await publish(agent.ready["nats"], message, message)
    await publish(agent.ready["nats"], ("hello.y", '{"celsius": 1, "name": "f"}', None))
    assert len(agent.executions(2)) == 2


async def test_a_message_that_is_not_json_is_a_dead_letter_and_the_next_one_runs(start, hello, until) -> None:
    agent = start()
    agent("deploy", hello)
    await publish(agent.ready["nats"], ("hello.x", "nonsense", None), ("hello.x", '{"celsius": 1}', None))
    letters = until(lambda: agent("deadletters", "list", "--json").json["deadletters"])
    assert "not valid JSON" in letters[0]["reason"]
    assert agent("deadletters", "show", letters[0]["id"]).out.endswith("nonsense\n")
    assert [info["status"] for info in agent.executions(1)] == ["completed"]
    replayed = agent("deadletters", "replay", letters[0]["id"])
    assert replayed.code == 2
    assert "dead again" in replayed.err


def test_trigger_waits_and_tells_the_end(start, hello, shell) -> None:
    agent = start()
    agent("deploy", hello, shell.write("f.yaml", "name: f\nnodes:\n  a: {type: fail, message: no way}\n"))
    done = agent("trigger", "hello", "--data", '{"celsius": 1}', "--wait", "--json")
    assert (done.code, done.json["info"]["status"]) == (0, "completed")
    assert agent("trigger", "f", "--wait").code == 1
    first, second = (agent("trigger", "hello", "--data", '{"celsius": 1}', "--id", "a", "--json").json for _ in "ab")
    assert first["execution"] == second["execution"]
    assert second["duplicate"] is True
    unknown = agent("trigger", "helo")
    assert unknown.code == 1
    assert "did you mean hello?" in unknown.err
    assert agent("undeploy", "hello").code == 0
    assert agent("trigger", "hello").code == 1


def test_an_execution_can_be_paused_resumed_and_cancelled(start, shell) -> None:
    agent = start()
    agent("deploy", shell.write("nap.yaml", "name: nap\nnodes:\n  a: {type: sleep, duration: 1h}\n"))
    id = agent("trigger", "nap", "--json").json["execution"]
    assert agent("pause", id).code == 0
    assert agent("ps", "--json").json["executions"][0]["status"] == "paused"
    assert agent("resume", id).code == 0
    assert agent("cancel", id).code == 0
    assert agent("ps", "--all", "--json").json["executions"][0]["status"] == "cancelled"
    refused = agent("cancel", id)
    assert refused.code == 1
    assert refused.err.startswith("ganglion: ")


def test_a_killed_agent_goes_on_where_it_was(start, shell, until) -> None:
    agent = start()
    agent("deploy", shell.write(
        "nap.yaml",
        "name: nap\nnodes:\n  first: {type: transform, data: '{{ uuid() }}'}\n"
        "  nap: {type: sleep, needs: first, duration: 2s}\n  last: {type: transform, needs: nap, data: done}\n"
        "outputs: '{{ nodes.first }}'\n",
    ))  # fmt: skip
    id = agent("trigger", "nap", "--json").json["execution"]
    before = agent("show", id, "--json").json["nodes"][0]["output"]
    agent.end(signal.SIGKILL)
    agent = start()
    assert "did not stop in an orderly way" in agent.said()
    until(lambda: agent.status(id) == "completed")
    assert agent("show", id, "--json").json["outputs"] == before
    assert agent.end() == 0


def test_a_data_directory_in_use_is_refused_with_the_holder(start, shell) -> None:
    agent = start()
    done = shell("up", "--data-dir", agent.data_dir, "--listen", "127.0.0.1:0")
    assert done.code == 1
    assert f"is in use by the process {agent.process.pid}" in done.err
    assert "Traceback" not in done.err


def test_a_port_that_is_taken_is_refused_before_anything_runs(start, shell) -> None:
    agent = start()
    port = agent.ready["nats"].rpartition(":")[2]
    done = shell("up", "--data-dir", "other", "--listen", f"127.0.0.1:{port}")
    assert done.code == 1
    assert "the port is taken" in done.err
    assert "Traceback" not in done.err


def test_the_ready_file_goes_with_the_agent(start, shell) -> None:
    agent = start("--mqtt", "127.0.0.1:0", "--id", "kitchen")
    assert agent.ready["pid"] == agent.process.pid
    assert agent.ready["agent"] == "kitchen"
    assert agent.ready["nats"].startswith("nats://127.0.0.1:")
    assert agent.ready["mqtt"].startswith("127.0.0.1:")
    assert json.loads((agent.data_dir / "agent.json").read_text()) == agent.ready
    assert agent.end(signal.SIGINT) == 0
    assert not (shell.directory / "ready.json").exists()
    assert agent("ps").code == 3


def test_without_nats_schedules_and_workflow_files_work(start, shell) -> None:
    (shell.directory / "flows").mkdir()
    shell.write("flows/good.yaml", "name: good\nnodes:\n  a: {type: log, message: hi}\n")
    shell.write("flows/bad.yaml", "name: bad\nnodes:\n  a: {type: nope}\n")
    shell.environ |= {"GANGLION_MESH__MODE": "off", "GANGLION_ENGINE__WORKFLOWS_DIR": "flows"}
    agent = start()
    assert "nats" not in agent.ready
    assert "deployed good version 1" in agent.said()
    assert "bad.yaml:3: nodes.a.type: there is no node type nope" in agent.said()
    done = agent("ps")
    assert done.code == 3
    assert "has no NATS" in done.err
    assert agent.end() == 0


def test_a_running_attempt_may_end_when_the_agent_is_stopped(start, shell) -> None:
    shell.environ["GANGLION_ENGINE__ALLOW_SHELL"] = "true"
    agent = start()
    agent("deploy", shell.write("w.yaml", "name: w\nnodes:\n  a: {type: shell, argv: [sleep, '1.5']}\n"))
    id = agent("trigger", "w", "--json").json["execution"]
    assert agent.end() == 0
    agent = start()
    assert agent("show", id, "--json").json["nodes"][0]["attempt"] == 1


def test_status_and_doctor_reach_the_agent(start) -> None:
    agent = start()
    status = agent("status", "--json").json
    assert status["pid"] == agent.process.pid
    assert status["engine"]["state"] == "running"
    assert status["connected"] is True
    assert "answers, running" in agent("doctor").out
    assert agent("ps", "--url", agent.ready["nats"]).code == 0


def test_a_follower_sees_the_past_and_the_present_once_each(start, hello, shell) -> None:
    agent = start()
    agent("deploy", hello)
    follower = shell.start("events", "-f", "-n", "100", "--json", "--data-dir", agent.data_dir)
    assert follower.stdout is not None
    seen = [json.loads(follower.stdout.readline())]
    agent("trigger", "hello", "--data", '{"celsius": 1}')
    while seen[-1]["type"] != "ganglion.workflow.completed":
        seen.append(json.loads(follower.stdout.readline()))
    follower.send_signal(signal.SIGINT)
    follower.communicate(timeout=20)
    assert [int(event["sequence"]) for event in seen] == list(range(1, len(seen) + 1))


def test_a_second_signal_stops_at_once(start, shell, until) -> None:
    shell.environ |= {"GANGLION_ENGINE__ALLOW_SHELL": "true", "GANGLION_ENGINE__GRACE": "1m"}
    agent = start()
    agent("deploy", shell.write("w.yaml", "name: w\nnodes:\n  a: {type: shell, argv: [sleep, '60']}\n"))
    agent("trigger", "w")
    until(lambda: agent("ps", "--json").json["executions"][0]["status"] == "running")
    agent.process.send_signal(signal.SIGTERM)
    until(lambda: "stopping" in agent.said())
    assert agent.end() == 1
    assert "stopped at once" in (shell.directory / "agent.log").read_text()


def test_what_does_not_end_within_the_grace_time_is_cut_off(start, shell) -> None:
    shell.environ |= {"GANGLION_ENGINE__ALLOW_SHELL": "true", "GANGLION_ENGINE__GRACE": "200ms"}
    agent = start()
    agent("deploy", shell.write("w.yaml", "name: w\nnodes:\n  a: {type: shell, argv: [sleep, '60']}\n"))
    id = agent("trigger", "w", "--json").json["execution"]
    assert agent.end() == 0
    agent = start()
    assert agent("show", id, "--json").json["info"]["status"] in ("queued", "running")


def test_a_run_can_borrow_the_nats_of_an_agent(start, hello, shell) -> None:
    agent = start()
    arguments = ("run", hello, "--data", '{"celsius": 90, "name": "f"}', "--data-dir")
    done = shell(*arguments, "kept", "--url", "nats://127.0.0.1:1")
    assert done.code == 3
    assert done.err.endswith("ganglion: no NATS server answers at nats://127.0.0.1:1\n")
    shell.environ["GANGLION_DATA_DIR"] = str(agent.data_dir)
    ran = shell("run", hello, "--data", '{"celsius": 90, "name": "f"}', "--json", "--url", agent.ready["nats"])
    assert ran.json["unsent"] == []


@pytest.fixture
def server(tmp_path, until) -> Iterator[str]:
    """The url of a nats-server that is not ours."""
    command = [
        find_server(),
        "-a",
        "127.0.0.1",
        "-p",
        "-1",
        "-js",
        "-sd",
        tmp_path / "js",
        "--ports_file_dir",
        tmp_path,
    ]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        until(lambda: any(path.stat().st_size for path in tmp_path.glob("*.ports")))
        yield json.loads(next(tmp_path.glob("*.ports")).read_text())["nats"][0]
        process.terminate()


async def test_an_external_server_is_used_when_it_is_named(start, hello, shell, server) -> None:
    shell.environ |= {"GANGLION_MESH__MODE": "external", "GANGLION_MESH__URL": server}
    agent = start("--id", "guest")
    assert agent.ready["nats"] == server
    refused = agent("deploy", hello)
    assert refused.code == 1
    assert "on a shared server a trigger takes from an existing stream" in refused.err
    hello.write_text(hello.read_text().replace('{subject: "hello.*"}', '{subject: "hello.*", capture: core}'))
    assert agent("deploy", hello).code == 0
    await publish(server, ("ganglion.trigger.default.guest.hello", '{"celsius": 1}', None))
    assert agent.executions(1)[0]["status"] == "completed"
    assert agent.end() == 0

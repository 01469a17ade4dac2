"""`ganglion run`: one execution in process."""

import os
import select
import signal
from pathlib import Path

import pytest

MODEL = Path(__file__).parents[3] / "examples/models/triage-tiny-q8_0.gguf"
WRITES = """\
name: writes
nodes:
  list:
    type: llm
    model: triage-tiny
    prompt: "fridge-07 temperature 14.2 C, limit 8 C"
    temperature: 1
    max_tokens: 900
    schema: {type: array, items: {enum: [normal, warning]}, minItems: 200, maxItems: 200}
outputs: "{{ nodes.list.value | length }}"
"""


def test_a_run_that_completes_shows_its_nodes_and_exits_with_0(shell, hello) -> None:
    done = shell("run", hello, "--data", '{"celsius": 20}')
    assert done.code == 0
    assert "hot" in done.out
    assert 'outputs {"hot":false}' in done.out


def test_parameters_and_data_reach_the_workflow(shell, hello) -> None:
    data = shell.write("data.json", '{"celsius": 20, "name": "f"}')
    done = shell("run", hello, "-p", "limit=4", "--data", f"@{data}", "--json")
    assert done.json["outputs"] == {"hot": True}
    assert done.json["params"] == {"limit": 4}
    assert shell("run", hello, "-p", "limit=4", "--data", "-", stdin='{"celsius": 3}').code == 0


def test_what_was_published_is_shown_as_not_sent(shell, hello) -> None:
    arguments = ("run", hello, "--data", '{"celsius": 90, "name": "f"}')
    assert "Not sent, because there is no NATS here (1):\n  alarms.f" in shell(*arguments).out
    [message] = shell(*arguments, "--json").json["unsent"]
    assert (message["subject"], message["node"]) == ("alarms.f", "alarm")


def test_a_mocked_node_gives_its_value_instead_of_running(shell) -> None:
    path = shell.write(
        "m.yaml",
        "name: m\nnodes:\n  get: {type: http, url: 'http://127.0.0.1:1/'}\n"
        "  say: {type: transform, data: '{{ nodes.get.body }}'}\noutputs: '{{ nodes.say }}'\n",
    )
    assert shell("run", path, "--mock", 'get={"status": 200, "body": "hi"}', "--json").json["outputs"] == "hi"


def test_a_mocked_branch_goes_the_way_that_its_value_names(shell) -> None:
    path = shell.write(
        "b.yaml",
        "name: b\nnodes:\n  pick: {type: switch, value: trigger.data.kind, cases: {red: r}}\n"
        "  hot: {type: if, condition: trigger.data.celsius > 8}\n"
        "  one: {type: transform, needs: [pick.red, hot.else], data: taken}\noutputs: '{{ nodes.one }}'\n",
    )
    done = shell(
        "run", path, "--data", '{"kind": "x", "celsius": 9}', "--mock", 'pick="red"', "--mock", "hot=false", "--json"
    )
    assert done.json["outputs"] == "taken"


def test_a_failed_run_says_why_and_exits_with_1(shell) -> None:
    path = shell.write("f.yaml", "name: f\nnodes:\n  a: {type: fail, message: no way}\n")
    done = shell("run", path)
    assert done.code == 1
    assert "failed in a: no way" in done.out
    assert shell("run", path, "--json").json["error"]["node"] == "a"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-p", "limt=4"), "there is no parameter limt"),
        (("-p", "limit"), "-p limit: expected NAME=VALUE"),
        (("-p", "limit=99"), "limit"),
        (("--data", "{"), "--data: not valid JSON"),
        (("--data", "@none.json"), "name a file that can be read"),
        (("--data-dir", "/proc/nowhere"), "the data directory /proc/nowhere can't be made or written"),
    ],
)
def test_bad_input_is_refused_with_a_remedy_and_no_trace(shell, hello, arguments, message) -> None:
    done = shell("run", hello, *arguments)
    assert done.code in (1, 2)
    assert message in done.err
    assert "Traceback" not in done.err


def test_ctrl_c_cancels_the_execution(shell) -> None:
    path = shell.write(
        "s.yaml",
        "name: s\nnodes:\n  say: {type: log, message: started}\n  nap: {type: sleep, needs: say, duration: 1h}\n",
    )
    process = shell.start("run", path, "--json")
    assert process.stderr is not None
    assert "started" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 1
    assert '"status":"cancelled"' in out


def test_a_data_directory_keeps_what_ran(shell, hello) -> None:
    arguments = ("run", hello, "--data", '{"celsius": 1}', "--data-dir", "kept", "--json")
    assert [shell(*arguments).json["info"]["num"] for _ in range(2)] == [1, 2]


def test_on_a_terminal_what_a_model_writes_is_shown_as_it_comes(shell) -> None:
    config = shell.write("ganglion.toml", f'[models.triage-tiny]\nfile = "{MODEL}"\n')
    path = shell.write("writes.yaml", WRITES)
    said = b""
    with shell.on_terminal("run", path, "--config", config, TERM="xterm", COLUMNS="100") as (process, person):
        while select.select([person], [], [], 20)[0]:
            try:
                said += os.read(person, 65536)
            except OSError:
                break
        assert process.wait(20) == 0, said.decode()
    assert b'"normal"' in said.partition(b"outputs 200")[0], said.decode()

    done = shell("run", path, "--config", config)
    assert "outputs 200" in done.out
    assert '"normal"' not in done.err
    assert shell("run", path, "--config", config, "--json").json["outputs"] == 200

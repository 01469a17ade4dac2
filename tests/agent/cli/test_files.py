"""Commands that need no agent."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

from agent import __version__
from agent.config import load_config


def test_the_version_is_that_of_the_package(shell) -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
    assert project["version"] == __version__
    assert shell("--version").out.startswith(f"ganglion {__version__}\nPython ")
    assert json.loads(shell("--version", "--json").out)["version"] == __version__


def test_the_version_is_told_before_anything_heavy_is_imported(shell) -> None:
    shell.environ["PYTHONPROFILEIMPORTTIME"] = "1"
    imported = shell("--version").err
    for library in ("typer", "rich", "msgspec", "asyncio", "nats", "agent.config"):
        assert f" {library}\n" not in imported


def test_files_to_start_from_need_a_folder_that_can_be_written(shell) -> None:
    shell.write("file", "")
    done = shell("init", "file")
    assert (done.code, done.err) == (
        2, f"ganglion: {shell.directory / 'file'} can't be written (Not a directory): name a directory of yours\n"
    )  # fmt: skip


def test_what_the_machine_refuses_is_one_line(shell) -> None:
    line = [sys.executable, "-c", "from agent.cli import main; main()", "schema"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(line, stdout=full, stderr=subprocess.PIPE, text=True, check=False, env=shell.environ)
    assert (done.returncode, done.stderr) == (1, "ganglion: No space left on device\n")


def test_help_names_every_command(shell) -> None:
    text = shell("--help").out
    for command in (
        "up", "demo", "init", "new", "check", "schema", "run", "deploy", "undeploy", "workflows", "trigger", "ps",
        "show", "events", "pause", "resume", "cancel", "resolve", "deadletters", "nodes", "doctor", "status",
    ):  # fmt: skip
        assert f" {command} " in text


def test_check_accepts_a_good_file(shell, hello) -> None:
    done = shell("check", hello)
    assert (done.code, done.out) == (0, f"{hello}: ok, workflow hello with 2 nodes\n")
    assert shell("check", "-", stdin=hello.read_text()).code == 0


def test_check_tells_every_problem_with_its_line_and_remedy(shell) -> None:
    bad = shell.write("bad.yaml", "name: x\nnodes:\n  a: {type: htp}\n  b: {type: log, mesage: hi}\n")
    done = shell("check", bad)
    assert done.code == 2
    assert f"{bad}:3: nodes.a.type: there is no node type htp (did you mean http?)" in done.err
    assert f"{bad}:4: nodes.b.mesage:" in done.err
    listed = shell("check", bad, "--json").json["files"][0]
    assert listed["ok"] is False
    assert {"line": 3, "path": "nodes.a.type"}.items() <= listed["problems"][0].items()


def test_check_warns_of_a_fleet_trigger_where_nothing_is_recorded(shell) -> None:
    text = "name: w\ntriggers: [{fleet: {kind: agent.stopped}}]\nnodes: {a: {type: log, message: x}}\n"
    path = shell.write("w.yaml", text)
    done = shell("check", path)
    assert done.code == 0
    assert f"{path}: warning: triggers: a fleet trigger works where the fleet is recorded: set `[fleet]" in done.err
    shell.environ["GANGLION_FLEET__RECORD"] = "true"
    assert shell("check", path).err == ""


def test_check_of_a_file_that_is_not_there_says_so(shell) -> None:
    done = shell("check", "none.yaml")
    assert (done.code, done.err) == (
        2,
        "ganglion: none.yaml: No such file or directory: name a workflow file that can be read\n",
    )


def test_the_schema_is_json(shell) -> None:
    schema = json.loads(shell("schema").out)
    assert "nodes" in schema["properties"]


def test_nodes_lists_types_and_shows_one(shell) -> None:
    listed = shell("nodes").out
    assert "transform" in listed
    assert "(off)" in next(line for line in listed.splitlines() if line.startswith("shell"))
    page = shell("nodes", "http").out
    assert "PARAMETER" in page
    assert "url" in page
    assert shell("nodes", "http", "--json").json["name"] == "http"
    done = shell("nodes", "htp")
    assert done.code == 2
    assert "did you mean http?" in done.err


def test_new_writes_a_workflow_that_is_valid_and_runs(shell) -> None:
    assert shell("new", "greeter").code == 0
    assert shell("check", "greeter.yaml").code == 0
    ran = shell("run", "greeter.yaml", "--data", '{"name": "Ann", "celsius": 30}', "--json").json
    assert ran["outputs"] == {"text": "Hello, Ann"}
    again = shell("new", "greeter")
    assert again.code == 2
    assert "there already" in again.err
    assert shell("new", "No Name").code == 2


def test_init_writes_a_configuration_and_a_workflow(shell) -> None:
    assert shell("init", "farm").code == 0
    assert shell("check", "farm/workflows/hello.yaml").code == 0
    assert shell("doctor", "--config", "farm/ganglion.toml").code == 0
    assert shell("init", "farm").code == 2


def test_what_init_writes_are_keys_of_the_example_with_their_defaults(shell) -> None:
    """As comments, but for two: uncommented, they load as well."""
    every = set((Path(__file__).parents[3] / "config.example.toml").read_text().splitlines())
    for flags in ((), ("--all",)):
        folder = f"farm{len(flags)}"
        assert shell("init", folder, *flags).code == 0
        text = (shell.directory / folder / "ganglion.toml").read_text()
        settings = [line for line in text.splitlines() if line and not line.startswith("#")]
        assert [line for line in settings if not line.startswith("[")] == [
            'data_dir = "data"', 'workflows_dir = "workflows"',
        ]  # fmt: skip
        assert {f"# {line}" for line in settings if " = " in line} - every == {
            '# data_dir = "data"', '# workflows_dir = "workflows"',
        }  # fmt: skip
        added = {line for line in text.splitlines() if line not in every} - set(settings)
        assert added == (set() if flags else {"# Every other key: ganglion init --all DIRECTORY"})
        config, _ = load_config(shell.directory / folder / "ganglion.toml", environ={})
        assert config.data_path == shell.directory / folder / "data"
    assert len(every - set(text.splitlines())) <= 2


def test_a_mistake_in_the_configuration_is_told_with_its_line(shell) -> None:
    path = shell.write("g.toml", "[mesh]\nlissten = 1\n")
    done = shell("ps", "--config", path)
    assert (done.code, done.err) == (2, f"ganglion: {path}:2: there is no setting mesh.lissten; did you mean listen?\n")


def test_a_mistake_on_the_command_line_is_a_usage_error(shell) -> None:
    assert shell("ps", "--limit", "many").code == 2
    assert shell("nonsense").code == 2
    done = shell("ps", "--status", "done")
    assert done.code == 2
    assert "expected one of queued, running" in done.err


def test_without_an_agent_commands_say_what_to_do(shell) -> None:
    done = shell("ps")
    assert done.code == 3
    assert "start one with `ganglion up`" in done.err
    done = shell("ps", "--url", "nats://127.0.0.1:1")
    assert done.code == 3
    assert "no NATS server answers at nats://127.0.0.1:1" in done.err


def test_doctor_finds_what_is_wrong(shell) -> None:
    assert shell("doctor").code == 0
    (shell.directory / "data" / "secrets").mkdir(parents=True)
    shell.write("data/secrets/TOKEN", "x").chmod(0o644)
    done = shell("doctor", "--data-dir", "data", "--json")
    assert done.code == 1
    [secrets] = [found for found in done.json["findings"] if found["check"] == "secrets"]
    assert secrets["verdict"] == "fail"
    assert secrets["remedy"].startswith("chmod 600 ")

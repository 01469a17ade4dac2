import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from agent.cli import complete
from tests import warm
from tests.agent.cli.models.conftest import MODEL, FileServer, Models
from tests.agent.conftest import Agent
from tests.plugins.llm.files.conftest import Plan

SHA256 = "473286c9bd7bf0de5b72bcbdfb8cb79f7e71d0c9a4312df7c9cb73452e571856"


def test_an_added_file_is_listed_shown_measured_and_removed(models: Models) -> None:
    added = models("add", MODEL, "--name", "triage-tiny", "--context", "512")
    assert added.code == 0, added.err
    assert added.out == f"triage-tiny: 1.1 MB, llama, 1.0 M parameters, Q8_0\nsha256 {SHA256}\n"
    assert "model: triage-tiny" in added.err

    listed = models()
    assert listed.out.splitlines()[1].split() == ["triage-tiny", "local", "1.1", "MB", "idle", "512", "added"]
    assert "no agent runs on" in listed.err
    [line] = models("list", "--json").json["models"]
    assert (line["name"], line["state"], line["source"], line["size_bytes"]) == (
        "triage-tiny", "idle", "added", MODEL.stat().st_size,
    )  # fmt: skip

    shown = models("show", "triage-tiny", "--json").json
    assert shown["sha256"] == SHA256
    assert {one["key"]: one["origin"] for one in shown["settings"]} == {
        "context": "added", "batch": "default", "threads": "default", "gpu_layers": "default", "chat_format": "default",
        "keep_alive": "default", "max_ram": "default", "queue": "default", "stall": "default",
    }  # fmt: skip
    assert (shown["of_file"]["licence"], shown["of_file"]["context"], shown["context"]) == ("Apache-2.0", 1024, 512)
    assert shown["memory_needed_bytes"] > shown["size_bytes"]
    assert "512 tokens, made for 1,024" in models("show", "triage-tiny").out

    removed = models("remove", "triage-tiny", "--yes")
    assert removed.out == "triage-tiny is removed; 1.1 MB are free again\n"
    assert models.files == []


def test_a_damaged_manifest_is_listed_with_its_problem_and_can_be_removed(models: Models) -> None:
    assert models("add", MODEL, "--name", "triage-tiny").code == 0
    (models.folder / "triage-tiny.json").write_text("{")
    [line] = models("list", "--json").json["models"]
    assert line["state"] == "damaged"
    assert "`ganglion models remove triage-tiny`" in line["problem"]
    assert models("remove", "triage-tiny", "--yes").code == 0
    assert models("list", "--json").json["models"] == []


def test_bench_measures(triage: Models) -> None:
    done = triage("bench", "triage-tiny", "--tokens", "40", "--json")
    assert done.code == 0, done.err
    speed = done.json
    assert speed["answer_tokens"] >= 40
    assert speed["answer_tokens_per_second"] > 0
    assert speed["prompt_tokens_per_second"] > 0
    assert 0 < speed["first_token_seconds"] < 60
    assert speed["memory_expected_bytes"] > 0


def test_bench_asks_with_a_text_of_ours(triage: Models) -> None:
    text = triage.shell.write("ask.txt", "fridge-07 temperature 14.2 C, limit 8 C")
    shown = triage("bench", "triage-tiny", "--tokens", "10", "--prompt", text)
    assert shown.code == 0, shown.err
    assert [line.split()[0] for line in shown.out.splitlines()] == [
        "triage-tiny", "load", "memory", "prompt", "answer", "first",
    ]  # fmt: skip
    assert "name a text file" in triage("bench", "triage-tiny", "--prompt", "nowhere").err


def test_verify_tells_damaged_from_whole(triage: Models) -> None:
    assert triage("verify", "triage-tiny").code == 0
    file = triage.folder / "triage-tiny.gguf"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    damaged = triage("verify", "--all", "--json")
    assert damaged.code == 1
    assert damaged.json["ok"] is False
    assert f"expected {SHA256}" in damaged.json["models"][0]["problem"]
    assert "fail" in triage("verify", "triage-tiny").out
    assert "--all" in triage("verify").err


def test_a_file_that_was_cut_off_or_taken_away_is_listed_with_that(triage: Models) -> None:
    file = triage.folder / "triage-tiny.gguf"
    os.truncate(file, 900_000)
    assert "triage-tiny.gguf is cut off: expected 1,1" in triage().out
    assert "is cut off" in triage("show", "triage-tiny").out
    assert "it is damaged or another file" in triage("bench", "triage-tiny").err
    file.unlink()
    assert "there is no file" in triage().out
    assert "there is no file" in triage("bench", "triage-tiny").err
    assert triage("verify", "triage-tiny").code == 1


def test_release_ends_a_quarantine(triage: Models) -> None:
    """As the next start writes it after two deaths in the model's native code."""
    book = {"models": {"triage-tiny": {"identity": SHA256, "deaths": 2, "last": "2026-11-21T10:15:00Z"}}}
    (triage.folder / ".quarantine.json").write_text(json.dumps(book))
    assert triage("list", "--json").json["models"][0]["state"] == "quarantined"
    shown = triage("show", "triage-tiny").out
    assert "quarantined" in shown
    assert "ganglion models verify triage-tiny --release" in shown
    assert "quarantine" in triage("bench", "triage-tiny").err
    looked = triage("verify", "triage-tiny")
    assert (looked.code, "quarantine" in looked.out) == (0, True)
    assert "it may be used again" in triage("verify", "triage-tiny", "--release").out
    assert triage("list", "--json").json["models"][0]["state"] == "idle"


def test_the_configuration_s_models_are_not_removed_and_not_added(models: Models, config: Path) -> None:
    def run(*arguments: object) -> str:
        done = models.plain("models", *arguments, "--config", config)
        assert done.code == 2, done.out
        return done.err

    assert f"mine is [models.mine] of {config}: remove it there" in run("remove", "mine", "--yes")
    assert '[models."cloud-1.5"]' in run("remove", "cloud-1.5", "--yes")
    assert "take it out there, or add this one as --name another" in run("add", MODEL, "--name", "mine")
    assert "cloud-1.5 is a remote model (openai): there is no file to verify" in run("verify", "cloud-1.5")
    assert "there is no file to measure" in run("bench", "cloud-1.5")
    assert "did you mean mine?" in run("show", "nine")
    lines = models.plain("models", "--config", config, "--json").json["models"]
    assert [(line["name"], line["provider"], line["state"], line["source"]) for line in lines] == [
        ("cloud-1.5", "openai", "remote", "configuration"),
        ("mine", "local", "idle", "configuration"),
    ]
    shown = models.plain("models", "show", "mine", "--config", config).out
    assert f"[models.mine] of {config}" in shown
    assert "any: set `sha256` to have it compared" in shown
    assert next(word for word in shown.splitlines() if word.startswith("keep_alive")).split()[1:] == [
        "1m", "configuration",
    ]  # fmt: skip


def test_a_question_is_only_asked_on_a_terminal(triage: Models) -> None:
    done = triage("remove", "triage-tiny")
    assert (done.code, "say --yes" in done.err) == (2, True)
    assert "triage-tiny.gguf" in triage.files
    assert "there is no model nothing" in triage("remove", "nothing", "--yes").err


def test_on_a_terminal_it_is_asked(triage: Models) -> None:
    for answer, code, left in (("n", 1, True), ("y", 0, False)):
        ours, theirs = os.openpty()
        with warm.Warm(
            [*warm.GANGLION, *triage.line("remove", "triage-tiny")], cwd=triage.shell.directory,
            env=triage.shell.environ, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        ) as process:  # fmt: skip
            os.write(ours, f"{answer}\n".encode())
            out, err = process.communicate(timeout=30)
        os.close(ours)
        os.close(theirs)
        assert process.returncode == code, out + err
        assert f"Remove triage-tiny and its file from {triage.folder}?" in err
        assert ("triage-tiny.gguf" in triage.files) is left


def test_names_are_completed(triage: Models, server: FileServer, config: Path) -> None:
    server.plans = [Plan(cut=300_000), Plan(status=404)]
    assert triage("add", server.url, "--name", "begun").code == 1
    here = {"config": config, "data_dir": triage.shell.directory / "data"}
    context: Any = SimpleNamespace(params=here)
    assert complete.models(context, "m") == [("mine", "local, configuration")]
    assert [name for name, _ in complete.models(context, "")] == ["cloud-1.5", "mine", "triage-tiny"]
    assert complete.added_models(context, "") == [("triage-tiny", "local"), ("begun", "not whole yet")]


def test_a_url_is_downloaded(models: Models, server: FileServer) -> None:
    done = models("add", f"{server.url}#sha256={SHA256}", "--json")
    assert done.code == 0, done.err
    assert done.json["name"] == "triage-tiny"
    assert done.json["sha256"] == SHA256
    again = models("add", f"{server.url}#sha256={SHA256}")
    assert again.out == "triage-tiny is there already, with that checksum\n"
    assert len(server.asked) == 1


def test_an_interrupt_keeps_what_came_and_says_how_to_go_on(models: Models, server: FileServer) -> None:
    server.plans = [Plan(hold=400_000)]
    process = models.shell.start(*models.line("add", server.url))
    assert server.holds.wait(30)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130, said
    assert "interrupted" in said
    if models.files:  # what the process had read by then
        assert "of 1.1 MB are kept: the same command goes on from there" in said
        assert "triage-tiny is not whole yet" in models("list").err
    assert models("add", server.url).code == 0
    assert models.files == ["triage-tiny.gguf", "triage-tiny.json"]


def test_a_killed_download_does_not_stand_in_the_way(models: Models, server: FileServer) -> None:
    server.plans = [Plan(hold=400_000)]
    process = models.shell.start(*models.line("add", server.url))
    assert server.holds.wait(30)
    other = models("add", server.url)
    assert (other.code, "being added by another process" in other.err) == (1, True)
    process.kill()
    process.communicate()
    assert models("add", server.url).code == 0
    assert models.files == ["triage-tiny.gguf", "triage-tiny.json"]


def test_what_can_t_be_had_says_why(models: Models, server: FileServer) -> None:
    server.plans = [Plan(status=404)]
    done = models("add", server.url)
    assert (done.code, "404 Not Found: there is no such file" in done.err) == (1, True)
    done = models("add", "http://192.0.2.1/x.gguf")
    assert (done.code, "--insecure" in done.err) == (2, True)
    done = models("add", MODEL, "--sha256", "0" * 64)
    assert (done.code, f"the checksum is {SHA256}" in done.err) == (1, True)
    assert models.files == []


def test_an_empty_data_directory_says_how_to_begin(models: Models) -> None:
    assert models().out.startswith("no models: ganglion models add FILE|URL")
    assert models("verify", "--all").code == 0
    assert models("shwo").err.count("Did you mean 'show'?") == 1


def test_an_agent_tells_what_is_in_memory(triage: Models, start: Callable[..., Agent]) -> None:
    agent = start()
    name = agent.ready["agent"]
    found = triage("list", "--json").json
    assert (found["agent"], found["models"][0]["state"], found["models"][0]["source"]) == (name, "idle", "added")
    assert triage.plain("deploy", triage.shell.write("ask.yaml", ASK), *triage.here).code == 0
    assert triage.plain("trigger", "ask", "--wait", *triage.here).code == 0

    [line] = triage("list", "--json").json["models"]
    assert (line["state"], line["generations"]) == ("resident", 1)
    assert line["memory_bytes"] > 0
    assert "resident" in triage().out
    assert "in memory" in triage("show", "triage-tiny").out
    there = triage("list", "--agent", name)
    assert there.out.splitlines()[0].split() == ["NAME", "PROVIDER", "STATE", "MEMORY"]
    assert f"{name}  triage-tiny  resident" in triage("list", "--fleet", "*").out

    added = triage("add", MODEL, "--name", "another")
    assert added.code == 0
    assert [line["name"] for line in triage("list", "--json").json["models"]] == ["another", "triage-tiny"]
    removed = triage("remove", "triage-tiny", "--yes")
    assert "the agent that runs here holds" in removed.err
    assert [line["name"] for line in triage("list", "--json").json["models"]] == ["another"]
    assert triage.plain("trigger", "ask", "--wait", *triage.here).code == 1, "it finds it no more"
    assert agent.end() == 0


ASK = """\
name: ask
nodes:
  say: {type: llm, model: triage-tiny, prompt: "fridge-07 temperature 14.2 C, limit 8 C", reuse: false}
"""

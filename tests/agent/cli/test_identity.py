"""`ganglion identity`: data directories that no agent runs on."""

import json
import shutil

import pytest

UP = "[mesh]\nmode = 'off'\n"


@pytest.fixture
def data(shell):
    """A data directory that an agent has run on."""
    path = shell.directory / "data"
    (path / "nats").mkdir(parents=True)
    (path / "agent-id").write_text("pi-7a3f\n")
    (path / "lock").touch()
    return path


def test_a_copy_becomes_another_agent_with_streams_set_aside(shell, data) -> None:
    done = shell("identity", "new", "--data-dir", data)
    assert done.code == 0
    agent = (data / "agent-id").read_text().strip()
    assert agent != "pi-7a3f"
    assert f"this is agent {agent} from now on, no longer pi-7a3f" in done.out
    assert not (data / "nats").exists()
    assert len(list(data.glob("nats.replaced-*"))) == 1
    shown = shell("identity", "show", "--data-dir", data)
    assert shown.out == f"agent {agent}\n"


def test_each_copy_of_an_image_names_itself(shell, data) -> None:
    shell("identity", "new", "--data-dir", data, "--id", "workshop")
    done = shell("identity", "new", "--data-dir", data, "--image")
    assert done.code == 0
    assert "each copy" in done.out
    assert "named at the first start" in shell("identity", "show", "--data-dir", data).out
    copy = shutil.copytree(data, shell.directory / "copy")
    assert "moved" not in shell("identity", "show", "--data-dir", copy).out
    assert "all copies would be x" in shell("identity", "new", "--data-dir", data, "--image", "--id", "x").err


def test_a_new_identity_may_be_named_and_keep_what_was_under_way(shell, data) -> None:
    done = shell("identity", "new", "--data-dir", data, "--id", "kitchen", "--keep-executions", "--json")
    assert (done.json["agent"], done.json["before"], done.json["nats"]) == ("kitchen", "pi-7a3f", "")
    assert (data / "nats").is_dir()


def test_a_copy_is_shown_as_one_and_keep_asks_for_a_look(shell, data) -> None:
    shell("identity", "new", "--data-dir", data, "--id", "kitchen")
    copy = shutil.copytree(data, shell.directory / "copy")
    assert "was moved or copied: the next start looks" in shell("identity", "show", "--data-dir", copy).out
    (copy / "twin.json").write_text(json.dumps({"agent": "kitchen", "host": "attic"}))
    assert "another one under this id was found on attic" in shell("identity", "show", "--data-dir", copy).out
    assert "its next start looks around" in shell("identity", "keep", "--data-dir", copy).out
    shown = shell("identity", "show", "--data-dir", copy, "--json").json
    assert (shown["twin"], shown["was_moved"]) == (None, True)


def test_an_agent_that_found_a_twin_does_not_start_even_without_a_server(shell, data) -> None:
    (data / "twin.json").write_text(json.dumps({"agent": "pi-7a3f", "host": "attic"}))
    refused = shell("up", "--config", shell.write("c.toml", UP), "--data-dir", data)
    assert refused.code == 1
    assert "another agent pi-7a3f is running on attic" in refused.err


def test_a_configured_id_is_changed_where_it_is_configured(shell, data) -> None:
    config = shell.write("c.toml", UP + "[agent]\nid = 'pump'\n")
    flags = ("--config", config, "--data-dir", data)
    assert "the configuration wins" in shell("identity", "new", *flags, "--id", "other").err
    (data / "twin.json").write_text(json.dumps({"agent": "pump"}))
    refused = shell("identity", "new", *flags)
    assert refused.code == 2
    assert "give this one another id there" in refused.err
    config.write_text(UP + "[agent]\nid = 'pump-2'\n")
    assert "this is agent pump-2 from now on, no longer pump" in shell("identity", "new", *flags).out
    assert not (data / "twin.json").exists()


def test_what_can_not_be_done_is_refused(shell, data, until) -> None:
    assert "is no data directory" in shell("identity", "new", "--data-dir", "nowhere").err
    assert "expected up to 63" in shell("identity", "new", "--data-dir", data, "--id", "Not Good").err
    running = shell.start("up", "--config", shell.write("c.toml", UP), "--data-dir", data, "--ready-file", "ready.json")
    try:
        until(lambda: (shell.directory / "ready.json").exists())
        refused = shell("identity", "new", "--data-dir", data)
        assert refused.code == 1
        assert "is in use by the process" in refused.err
    finally:
        running.terminate()
        running.communicate(timeout=20)

"""An agent on trial is there and begins nothing; what comes meanwhile waits, and is done when the trial is over."""

import asyncio
import signal
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import nats
import pytest

from agent.ready import Ready, read_ready
from agent.update.hold import FILE, LONGEST_SECONDS, held, is_held, longest
from tests import warm
from tests.warm import GANGLION

LATER = """\
name: later
nodes:
  pause: {type: sleep, duration: 300ms}
  after: {type: log, needs: pause, message: hi}
"""


@pytest.fixture
def up(shell) -> Iterator[Callable[[], "subprocess.Popen[bytes]"]]:
    """`up()` starts an agent of `data` and does not wait for it."""
    started = []

    def begin() -> "subprocess.Popen[bytes]":
        with (shell.directory / "log").open("ab") as log:
            process = warm.Warm(
                [*GANGLION, "up", "--data-dir", shell.directory / "data", "--listen", "127.0.0.1:0"],
                cwd=shell.directory, env=shell.environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.wait()


def ready_file(data: Path, *, trial: bool) -> Ready | None:
    found = read_ready(data)
    return found if found is not None and found.trial == trial else None


def states(data: Path) -> list[str]:
    with closing(sqlite3.connect(data / "ganglion.db")) as db:
        return [status for (status,) in db.execute("SELECT status FROM executions ORDER BY num")]


async def publish(url: str, subject: str, body: bytes) -> None:
    """As a device does it: acknowledged by the stream."""
    client = await nats.connect(url)
    await client.jetstream().publish(subject, body)
    await client.close()


def test_the_hold_is_let_go_of_with_its_holder(tmp_path) -> None:
    assert not is_held(tmp_path)
    with held(tmp_path, 60):
        assert is_held(tmp_path)
    assert not is_held(tmp_path)
    (tmp_path / FILE).touch()  # left by an updater that was killed
    assert not is_held(tmp_path)


@pytest.mark.nats
def test_an_agent_on_trial_begins_nothing_and_does_it_all_afterwards(shell, start, hello, up, until) -> None:
    agent = start()
    data = agent.data_dir
    for workflow in (hello, shell.write("later.yaml", LATER)):
        assert agent("deploy", workflow).code == 0
    assert agent("trigger", "later").code == 0
    agent.end()
    [before] = states(data)
    assert before != "completed"

    with held(data, 60):
        process = up()
        ready = until(lambda: ready_file(data, trial=True))
        asyncio.run(publish(ready.nats, "hello.x", b'{"celsius": 80, "name": "x"}'))
        refused = shell("trigger", "later", "--data-dir", data)
        assert (refused.code, "on trial after an update" in refused.err) == (1, True)
        assert "is on trial after an update and begins nothing" in shell("doctor", "--data-dir", data).out
        assert shell("status", "--json", "--data-dir", data).json["pid"] == process.pid
        assert states(data) == [before]

    until(lambda: ready_file(data, trial=False))
    until(lambda: states(data) == ["completed", "completed"])
    assert "on trial: nothing is begun" in (shell.directory / "log").read_text()
    assert "is lost" not in (shell.directory / "log").read_text()


@pytest.mark.nats
def test_an_agent_on_trial_is_stopped_by_the_first_signal(shell, start, up, until) -> None:
    start().end()
    data = shell.directory / "data"
    with held(data, 60):
        process = up()
        until(lambda: ready_file(data, trial=True))
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert read_ready(data) is None


@pytest.mark.nats
def test_an_agent_on_trial_goes_on_without_an_update_that_hangs(shell, start, up, until) -> None:
    start().end()
    data = shell.directory / "data"
    with held(data, 0.3):
        up()
        until(lambda: ready_file(data, trial=False))
        assert is_held(data)
    log = (shell.directory / "log").read_text()
    assert "on trial" in log
    assert "does not come to its end: work begins without it" in log


def test_a_trial_without_a_word_of_its_length_ends_too(tmp_path) -> None:
    (tmp_path / FILE).touch()
    assert longest(tmp_path) == LONGEST_SECONDS
    (tmp_path / FILE).write_text("12.5\n")
    assert longest(tmp_path) == 12.5

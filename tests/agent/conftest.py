"""Real `ganglion` processes, each with a home of its own."""

import json
import os
import pty
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests import warm
from tests.warm import GANGLION

ROOT = Path(__file__).parents[2]
START_SECONDS = 20.0


def until(look: Callable[[], Any]) -> Any:
    """The first true answer of `look`, which is another process's: only looking tells."""
    give_up = time.monotonic() + START_SECONDS
    while not (seen := look()):
        assert time.monotonic() < give_up, "it took too long"
        time.sleep(0.05)  # each look is a command, and takes from those that are looked at
    return seen


class Finished:
    """What a command did."""

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        self.code = done.returncode
        self.out = done.stdout
        self.err = done.stderr

    @property
    def json(self) -> Any:
        assert self.out, self.err
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


class Shell:
    """Runs `ganglion` commands in a directory, away from the settings of whoever runs the tests."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.environ = {name: value for name, value in os.environ.items() if not name.startswith("GANGLION_")}
        self.environ |= {"HOME": str(directory), "PYTHONPATH": str(ROOT), "TERM": "dumb"}
        for variable in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "CREDENTIALS_DIRECTORY"):
            self.environ.pop(variable, None)

    def __call__(self, *arguments: object, stdin: str = "") -> Finished:
        return Finished(warm.run([*GANGLION, *arguments], cwd=self.directory, env=self.environ, input=stdin))

    def start(self, *arguments: object) -> "subprocess.Popen[str]":
        return warm.Warm(
            [*GANGLION, *arguments],
            cwd=self.directory, env=self.environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    @contextmanager
    def on_terminal(self, *arguments: object, **environ: str) -> Iterator[tuple["subprocess.Popen[bytes]", int]]:
        """A command on a terminal, and the side of it at which a person sits."""
        person, terminal = pty.openpty()
        with os.fdopen(person, "rb", buffering=0), warm.Warm(
            [*GANGLION, *arguments],
            cwd=self.directory, env=self.environ | environ, stdin=terminal, stdout=terminal, stderr=terminal,
        ) as process:  # fmt: skip
            os.close(terminal)
            try:
                yield process, person
            except BaseException:
                process.kill()
                raise

    def write(self, name: str, text: str) -> Path:
        path = self.directory / name
        path.write_text(text)
        return path


class Agent:
    """A running agent on free ports."""

    def __init__(self, shell: Shell, *flags: object, data_dir: str = "data") -> None:
        self.shell = shell
        self.data_dir = shell.directory / data_dir
        ready = shell.directory / "ready.json"
        ready.unlink(missing_ok=True)
        self.log = (shell.directory / "agent.log").open("ab+")
        self.process = warm.Warm(
            [*GANGLION, "up", "--data-dir", self.data_dir, "--listen", "127.0.0.1:0", "--ready-file", ready, *flags],
            cwd=shell.directory, env=shell.environ, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
        )  # fmt: skip
        give_up = time.monotonic() + START_SECONDS
        while not ready.exists():
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < give_up, self.said()
            time.sleep(0.01)  # another process: nothing here could tell
        self.ready: dict[str, Any] = json.loads(ready.read_text())

    def __call__(self, *arguments: object) -> Finished:
        """A command to this agent."""
        return self.shell(*arguments, "--data-dir", self.data_dir)

    def status(self, id: str) -> str:
        status: str = self("show", id, "--json").json["info"]["status"]
        return status

    def executions(self, count: int) -> list[Any]:
        """So many executions, once none of them is open."""

        def look() -> list[Any] | None:
            found: list[Any] = self("ps", "-a", "--json").json["executions"]
            is_open = any(info["status"] in ("queued", "running") for info in found)
            return found if len(found) >= count and not is_open else None

        return list(until(look))

    def said(self) -> str:
        self.log.seek(0)
        return self.log.read().decode()

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and wait; the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            return self.process.wait(30)
        finally:
            self.log.close()


@pytest.fixture(name="until")
def until_it_is_so() -> Callable[[Callable[[], Any]], Any]:
    return until


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


@pytest.fixture
def start(shell: Shell) -> Iterator[Callable[..., Agent]]:
    """`start(*flags)` gives a running agent, `home` one in a folder of its own; all are gone after the test."""
    agents: list[Agent] = []

    def started(*flags: object, data_dir: str = "data", home: Path | None = None) -> Agent:
        agents.append(Agent(Shell(home) if home else shell, *flags, data_dir=data_dir))
        return agents[-1]

    yield started
    for agent in agents:
        if agent.process.poll() is None:
            agent.end(signal.SIGKILL)


HELLO = """\
name: hello
params:
  limit: {type: number, default: 25, max: 60}
triggers:
  - nats: {subject: "hello.*"}
nodes:
  hot: {type: if, condition: trigger.data.celsius > params.limit}
  alarm: {type: publish, needs: hot.then, subject: "alarms.{{ trigger.data.name }}", data: "{{ trigger.data }}"}
outputs: {hot: "{{ nodes.hot }}"}
"""


@pytest.fixture
def hello(shell: Shell) -> Path:
    """A workflow that publishes an alarm above its limit."""
    return shell.write("hello.yaml", HELLO)

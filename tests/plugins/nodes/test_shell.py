import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import psutil
import pytest

from engine.contract import Done, Fail, Retry
from engine.secrets import SecretName, SecretText
from plugins import process
from plugins.nodes.shell import SHELL

MARKER = SecretText(SecretName("KEY"))

FAMILY = """
import os, signal, socket, subprocess, sys, time
if sys.argv[2] == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen(["sleep", "600"])
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as teller:
    teller.sendall(f"{os.getpid()} {child.pid}".encode())
if sys.argv[2] != "leave":
    time.sleep(600)
"""
"""A program with a child; it tells both process ids to a port."""


@dataclass
class Family:
    port: int
    told: asyncio.Future[list[int]]

    def argv(self, manners: str) -> list[str]:
        return python(FAMILY, str(self.port), manners)

    async def pids(self) -> list[int]:
        """Parent and child, once both have started."""
        return await asyncio.wait_for(self.told, 10)


@pytest.fixture
async def family() -> AsyncIterator[Family]:
    told = asyncio.get_running_loop().create_future()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        told.set_result([int(pid) for pid in (await reader.read()).split()])
        writer.close()

    async with await asyncio.start_server(listen, "127.0.0.1", 0) as server:
        yield Family(server.sockets[0].getsockname()[1], told)


@pytest.fixture
def shell(attempt):
    async def shell(*argv, **params):
        return await attempt(SHELL, argv=list(argv), **params)

    return shell


def python(code: str, *argv: str) -> list[str]:
    return [sys.executable, "-c", code, *argv]


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def die(pids: list[int]) -> bool:
    """Whether all of them end; a killed process needs a moment, and nobody tells us of a grandchild's end."""
    deadline = time.monotonic() + 10
    while any(map(is_alive, pids)):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.001)
    return True


async def test_shell_gives_exit_code_and_both_outputs(shell) -> None:
    outcome = await shell(*python("import sys; print('out é'); print('err', file=sys.stderr)"))
    assert outcome == Done({"exit_code": 0, "stdout": "out é\n", "stderr": "err\n"})


async def test_shell_passes_arguments_as_they_are(shell) -> None:
    outcome = await shell("printf", "%s|", "a b", "$HOME", "; rm -rf /", "`id`", 7, True)
    assert outcome.output["stdout"] == "a b|$HOME|; rm -rf /|`id`|7|true|"


async def test_shell_writes_stdin_and_runs_in_cwd(shell, tmp_path) -> None:
    (tmp_path / "here").touch()
    text = "line\n" * 100_000  # more than a pipe holds
    outcome = await shell("sh", "-c", "ls; wc -c", stdin=text, cwd=str(tmp_path))
    assert outcome.output["stdout"].split() == ["here", str(len(text))]


async def test_shell_does_not_mind_a_program_that_ignores_its_stdin(shell) -> None:
    assert isinstance(await shell("true", stdin="x" * 1_000_000), Done)


async def test_shell_hands_on_a_short_list_of_the_environment_only(shell, monkeypatch) -> None:
    monkeypatch.setenv("GANGLION_SECRET_KEY", "hidden")
    outcome = await shell("env", env={"A": "1", "B": 2})
    names = {line.partition("=")[0] for line in outcome.output["stdout"].splitlines()}
    assert {"A", "B", "PATH"} <= names
    assert names <= {"A", "B", "HOME", "LANG", "LC_ALL", "PATH", "TMPDIR", "TZ", "USER"}


async def test_shell_fails_on_another_exit_code_and_says_what_was_written_last(shell) -> None:
    outcome = await shell("sh", "-c", "echo the reason >&2; exit 3")
    assert outcome == Fail("sh: ended with exit code 3: the reason", kind="exit_3")


async def test_shell_knows_exit_codes_that_are_good_or_pass(shell) -> None:
    assert (await shell("sh", "-c", "exit 1", ok_exit=[0, 1])).output["exit_code"] == 1
    assert await shell("sh", "-c", "exit 75", retry_exit=[75]) == Retry("sh: ended with exit code 75", kind="exit_75")


async def test_shell_fails_when_a_signal_kills_the_program(shell) -> None:
    assert await shell("sh", "-c", "kill -9 $$") == Fail("sh: was killed by signal 9", kind="signal_9")


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
async def test_shell_stops_a_program_that_writes_too_much(shell, stream) -> None:
    code = f"import sys\nwhile True: sys.{stream}.write('x' * 65536)"
    outcome = await shell(*python(code), max_bytes=100_000)
    assert isinstance(outcome, Fail)
    assert outcome.kind == "too_large"


async def test_shell_takes_an_output_of_exactly_the_limit(shell) -> None:
    assert len((await shell("printf", "%01000d", 0, max_bytes=1000)).output["stdout"]) == 1000


@pytest.mark.parametrize(
    ("argv", "cwd", "error"),
    [
        (["no-such-program"], None, "No such file or directory: no-such-program"),
        (["true"], "/no/such/dir", "No such file or directory: /no/such/dir"),
        (["true"], "/dev/null", "Not a directory: /dev/null"),
        (["./plain"], ".", "Permission denied: ./plain"),
        (["./garbage"], ".", "Exec format error: ./garbage"),
    ],
)
async def test_shell_fails_on_what_cannot_run(shell, tmp_path, argv, cwd, error) -> None:
    (tmp_path / "plain").write_text("no program")
    (tmp_path / "plain").chmod(0o600)
    (tmp_path / "garbage").write_bytes(b"\x7fnothing")
    (tmp_path / "garbage").chmod(0o700)
    outcome = await shell(*argv, cwd=str(tmp_path) if cwd == "." else cwd)
    assert outcome == Fail(f"cannot run {argv[0]}: {error}", kind="not_runnable")


@pytest.mark.parametrize("params", [{"argv": ["echo", "a\0b"]}, {"argv": ["env"], "env": {"A": "\0"}}])
async def test_shell_fails_on_a_character_that_no_argument_may_hold(attempt, params) -> None:
    assert (await attempt(SHELL, **params)).kind == "invalid"


async def test_shell_at_its_deadline_stops_the_program_and_its_children(shell, ctx, family) -> None:
    ctx.deadline = time.monotonic() + 1
    outcome = await shell(*family.argv("plain"))
    assert isinstance(outcome, Retry)
    assert outcome.kind == "timeout"
    assert die(await family.pids())


@pytest.mark.parametrize("manners", ["plain", "stubborn"])
async def test_shell_that_is_cancelled_stops_the_program_and_its_children(shell, family, monkeypatch, manners) -> None:
    monkeypatch.setattr(process, "GRACE_SECONDS", 0.05)
    task = asyncio.get_running_loop().create_task(shell(*family.argv(manners)))
    assert all(map(is_alive, await family.pids()))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert die(await family.pids())


async def test_a_grandchild_that_holds_the_output_does_not_outlive_the_process(shell, family) -> None:
    assert isinstance(await shell(*family.argv("leave")), Done)
    assert die(await family.pids())


async def test_a_daemon_that_holds_the_output_delays_the_end_only_a_little(shell, monkeypatch) -> None:
    monkeypatch.setattr(process, "DRAIN_SECONDS", 0.05)
    code = "import subprocess; print(subprocess.Popen(['sleep', '600'], start_new_session=True).pid, flush=True)"
    outcome = await shell(*python(code))
    os.kill(int(outcome.output["stdout"]), 9)


async def test_shell_lets_no_secret_out_that_the_program_prints(shell, ctx) -> None:
    ctx.secrets.values = {"KEY": "s3cr3t"}
    outcome = await shell("sh", "-c", 'cat; echo "$TOKEN"', env={"TOKEN": SecretText("x-", MARKER)}, stdin=MARKER)
    assert outcome.output["stdout"] == "[secret KEY]x-[secret KEY]\n"
    outcome = await shell("sh", "-c", 'echo "$TOKEN" >&2; exit 1', env={"TOKEN": MARKER})
    assert outcome == Fail("sh: ended with exit code 1: [secret KEY]", kind="exit_1")

"""A real agent, and what its supervisor hears of it."""

import ctypes
import os
import signal
import sqlite3
from contextlib import closing

import psutil
import pytest

from agent.backups import STORE

SECONDS = 1.0
ATTACH, DETACH = 16, 17


@pytest.fixture
def watched(shell, start, ear):
    """An agent that runs as a service with a watchdog."""
    shell.environ |= {"NOTIFY_SOCKET": ear.address, "WATCHDOG_USEC": str(round(SECONDS * 1e6))}
    agent = start()
    assert ear.until("READY") == {"READY": "1", "STATUS": "running"}
    ear.until("WATCHDOG")
    return agent


def test_it_tells_its_beginning_and_its_end(watched, ear) -> None:
    [server] = psutil.Process(watched.process.pid).children()
    assert "NOTIFY_SOCKET" not in server.environ()
    told = watched("status", "--json").json["supervision"]
    assert told["watchdog"] == SECONDS
    assert told["fed"] < 10 * SECONDS
    assert "watchdog of 1s, fed " in watched("status").out
    found = {one["check"]: one for one in watched("doctor", "--json").json["findings"]}
    assert "watchdog of 1s, fed " in found["service"]["message"]
    assert found["places"]["message"].startswith(f"data {watched.data_dir}; cache ")

    watched.process.send_signal(signal.SIGTERM)
    assert ear.until("STOPPING")["STATUS"] == "stopping"
    assert watched.end(signal.SIGCONT) == 0  # the second SIGTERM would stop it at once


def test_it_gives_no_sign_of_life_while_nothing_can_be_committed(watched, ear) -> None:
    with closing(sqlite3.connect(watched.data_dir / STORE, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        while not ear.is_silent(1.2 * SECONDS):
            pass
        other.execute("ROLLBACK")
    ear.until("WATCHDOG")


def test_it_gives_no_sign_of_life_while_its_loop_hangs(watched, ear) -> None:
    """The thread of the loop is stopped, and no other one."""
    ptrace = ctypes.CDLL(None, use_errno=True).ptrace
    ptrace.argtypes, ptrace.restype = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p], ctypes.c_long
    pid = watched.process.pid
    if ptrace(ATTACH, pid, None, None):
        pytest.skip(f"one thread alone can't be stopped here: {os.strerror(ctypes.get_errno())}")
    try:
        assert len(psutil.Process(pid).threads()) > 1
        while not ear.is_silent(1.2 * SECONDS):
            pass
    finally:
        os.waitpid(pid, 0x40000000)  # __WALL: a stop that is not waited for can't be left
        ptrace(DETACH, pid, None, None)
    ear.until("WATCHDOG")


SLOW = """\
name: slow
nodes:
  first: {type: shell, argv: [sh, -c, "while ! [ -e GATE ]; do sleep 0.05; done"]}
"""


def test_a_drain_is_no_end_yet_and_the_watchdog_is_fed_in_it(shell, start, ear, tmp_path) -> None:
    """systemd would count TimeoutStopSec from STOPPING=1 on, and a drain may take hours."""
    shell.environ |= {"NOTIFY_SOCKET": ear.address, "WATCHDOG_USEC": str(round(SECONDS * 1e6))}
    agent = start("--config", shell.write("c.toml", "[engine]\nallow_shell = true\n"))
    agent("deploy", shell.write("slow.yaml", SLOW.replace("GATE", str(tmp_path / "gate"))))
    assert agent("trigger", "slow").code == 0
    assert agent("drain", "--no-wait").code == 0
    while (message := ear.next()) != {"STATUS": "draining: nothing new is begun"}:
        assert "STOPPING" not in message
    for _ in range(2):
        while "WATCHDOG" not in (message := ear.next()):
            assert "STOPPING" not in message
    (tmp_path / "gate").touch()
    assert ear.until("STOPPING")
    assert agent.process.wait(15) == 0
    agent.end()

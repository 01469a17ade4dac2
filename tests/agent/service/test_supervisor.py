"""What a supervisor is told."""

import os

import pytest

from agent.service.supervisor import Supervisor, taken_supervisor
from tests.agent.service.conftest import Ear


def test_each_message_is_a_datagram(ear) -> None:
    supervisor = Supervisor.from_environ({"NOTIFY_SOCKET": ear.address})
    supervisor.ready("edge takes messages")
    assert ear.next() == {"READY": "1", "STATUS": "edge takes messages"}
    supervisor.alive()
    assert ear.next() == {"WATCHDOG": "1"}
    supervisor.stopping("nodes\nREADY=1")
    assert ear.next() == {"STOPPING": "1", "STATUS": "nodes READY=1"}


def test_a_status_is_told_when_it_changes(ear) -> None:
    supervisor = Supervisor.from_environ({"NOTIFY_SOCKET": ear.address})
    for text in ("running", "running", "the disk is full"):
        supervisor.status(text)
    assert [ear.next(), ear.next()] == [{"STATUS": "running"}, {"STATUS": "the disk is full"}]
    assert ear.is_silent(0.01)


def test_an_abstract_socket_is_reached() -> None:
    ear = Ear(f"@ganglion-test-abstract-{os.getpid()}")
    try:
        Supervisor.from_environ({"NOTIFY_SOCKET": ear.address}).status("starting")
        assert ear.next() == {"STATUS": "starting"}
    finally:
        ear.close()


def test_without_the_variable_nobody_is_told() -> None:
    supervisor = Supervisor.from_environ({"WATCHDOG_USEC": "1000000"})
    supervisor.ready("running")
    assert not supervisor
    assert supervisor.watchdog_seconds is None


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_a_watchdog_is_fed_only_where_it_is_ours(environ: dict[str, str], seconds: float | None) -> None:
    assert Supervisor.from_environ({"NOTIFY_SOCKET": "/run/x", **environ}).watchdog_seconds == seconds


def test_a_socket_of_another_kind_is_told_in_the_log(caplog) -> None:
    assert not Supervisor.from_environ({"NOTIFY_SOCKET": "vsock:2:1234"})
    assert "only /path and @name are known" in caplog.text


def test_a_supervisor_that_is_gone_is_told_of_once(tmp_path, caplog) -> None:
    supervisor = Supervisor(str(tmp_path / "nobody"))
    supervisor.status("starting")
    supervisor.status("running")
    assert caplog.text.count("can't be told anything") == 1


def test_children_do_not_speak_for_the_agent() -> None:
    environ = {"NOTIFY_SOCKET": "/run/x", "WATCHDOG_USEC": "1", "WATCHDOG_PID": "1", "HOME": "/"}
    assert taken_supervisor(environ)
    assert environ == {"HOME": "/"}

"""A supervisor's end of sd_notify: a real datagram socket."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest


class Ear:
    """Hears what services say."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(f"\0{address[1:]}" if address.startswith("@") else address)

    def next(self, seconds: float = 10.0) -> dict[str, str]:
        """The next message; raises TimeoutError."""
        self._socket.settimeout(seconds)
        return dict(line.split("=", 1) for line in self._socket.recv(4096).decode().splitlines())

    def until(self, key: str, seconds: float = 10.0) -> dict[str, str]:
        """The next message that has this key."""
        while key not in (message := self.next(seconds)):
            pass
        return message

    def is_silent(self, seconds: float) -> bool:
        """No sign of life for so long; other messages may come."""
        try:
            self.until("WATCHDOG", seconds)
        except TimeoutError:
            return True
        return False

    def forget(self) -> None:
        """What was said up to now."""
        self._socket.setblocking(False)
        try:
            while self._socket.recv(4096):
                pass
        except BlockingIOError:
            return

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def ear(tmp_path: Path) -> Iterator[Ear]:
    """At a path; a path that is too long for a socket is given as an abstract name."""
    path = str(tmp_path / "notify")
    ear = Ear(path if len(path) < 100 else f"@ganglion-test-{os.getpid()}")
    yield ear
    ear.close()

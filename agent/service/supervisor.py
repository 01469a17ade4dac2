"""Tells the supervisor that started us how we are: the protocol of sd_notify, one datagram for each message.

Without NOTIFY_SOCKET nothing happens. systemd speaks it, and so do supervise-daemon's and s6's adapters and containers
(`podman --sdnotify`).
"""

import logging
import os
import socket
from collections.abc import Mapping, MutableMapping

_log = logging.getLogger("ganglion.agent")
VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
SEND_SECONDS = 0.5
"""How long a supervisor may take to make room for a message; then the message is lost."""


class Supervisor:
    """Who watches over this process; or nobody, and then every message goes nowhere."""

    def __init__(self, address: str = "", *, watchdog_seconds: float | None = None) -> None:
        self._address = f"\0{address[1:]}" if address.startswith("@") else address  # the abstract name space of Linux
        self.watchdog_seconds = watchdog_seconds
        """How long it waits for a sign of life before it kills us; None: for ever."""
        self._status = ""
        self._is_ready = False
        self._warned = False

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] = os.environ) -> "Supervisor":
        """As the environment says. WATCHDOG_USEC counts only for the process that WATCHDOG_PID names."""
        address = environ.get("NOTIFY_SOCKET", "")
        if address and address[0] not in "/@":
            _log.warning("NOTIFY_SOCKET is %s: only /path and @name are known, so nobody is told", address)
            return cls()
        usec, pid = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
        is_ours = pid in ("", str(os.getpid()))
        seconds = int(usec) / 1e6 if usec.isdecimal() and int(usec) > 0 and is_ours else None
        return cls(address, watchdog_seconds=seconds if address else None)

    def __bool__(self) -> bool:
        return bool(self._address)

    def ready(self, status: str) -> None:
        """Everything serves."""
        self._is_ready = True
        self._status = status
        self._send(f"READY=1\nSTATUS={_line(status)}")

    def status(self, text: str) -> None:
        """What people see in `systemctl status`; sent when it changes."""
        if text != self._status:
            self._status = text
            self._send(f"STATUS={_line(text)}")

    def alive(self) -> None:
        """The sign of life. Before everything serves it asks for more time to start: a full disk may hold that up."""
        if self._is_ready:
            self._send("WATCHDOG=1")
        elif self.watchdog_seconds:
            self._send(f"EXTEND_TIMEOUT_USEC={round(self.watchdog_seconds * 1e6)}")

    def stopping(self, status: str) -> None:
        """The end has begun. From now on systemd counts TimeoutStopSec: an agent that drains for hours says it late."""
        self._status = status
        self._send(f"STOPPING=1\nSTATUS={_line(status)}")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
                channel.settimeout(SEND_SECONDS)
                channel.sendto(message.encode(), self._address)
        except OSError as error:  # whoever listens there will see for itself that it hears nothing
            if not self._warned:
                _log.warning("the supervisor at %r can't be told anything: %s", self._address, error)
            self._warned = True
        else:
            self._warned = False


def taken_supervisor(environ: MutableMapping[str, str] = os.environ) -> Supervisor:
    """The supervisor of this process, and of none that it starts: a child that spoke there would speak for us."""
    supervisor = Supervisor.from_environ(environ)
    for name in VARIABLES:
        environ.pop(name, None)
    return supervisor


def _line(text: str) -> str:
    """A message ends with its line."""
    return " ".join(text.split())

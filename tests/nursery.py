"""A process that has imported the agent, and becomes others: started by `warm`, one for each process of tests.

It reads orders from the socket whose number is its argument. An order comes with four descriptors: the streams of the
new process, and a channel for its id and, once it is over, its wait status. At the end of the orders it ends too.
"""

import atexit
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import struct
import sys
import threading
import types
from contextlib import suppress
from typing import Any

import engine.crash

MODULES = (
    "agent.app",
    "agent.cli.root",
    "agent.doctor",
    "agent.demo",
    "agent.cli.up",
    "croniter",
    "engine.engine",
    "mesh.client",
    "mesh.line",
    "mesh.roll_call",
    "rich.console",
    "rich.live",
    "rich.markdown",
    "rich.table",
    "rich.progress",
    "rich.prompt",
    "rich.syntax",
    "typer.rich_utils",
    "uvloop",
)
"""What is imported before, all commands besides. If one can not be, whoever needs it tells that."""
LENGTH = struct.Struct("=I")
NUMBER = struct.Struct("=i")


def _order(orders: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    head, descriptors, _, _ = socket.recv_fds(orders, LENGTH.size, 4)
    if not head:
        return None
    left = LENGTH.unpack(head)[0]
    text = b""
    while len(text) < left:
        text += orders.recv(left - len(text))
    return json.loads(text), descriptors


def serve(orders: socket.socket) -> dict[str, Any] | None:
    """Fork for each order. Comes back in the new process, with what it is to do, and once when it is all over."""
    woken, wakes = os.pipe()
    os.set_blocking(wakes, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
    channels: dict[int, socket.socket] = {}
    gc.freeze()  # what all share is not copied because a collector has looked at it
    while True:
        ready, _, _ = select.select([orders, woken], [], [])
        if woken in ready:
            os.read(woken, 4096)
            with suppress(ChildProcessError):
                while (over := os.waitpid(-1, os.WNOHANG))[0]:
                    with channels.pop(over[0]) as channel, suppress(OSError):
                        channel.sendall(NUMBER.pack(over[1]))
        if orders not in ready:
            continue
        found = _order(orders)
        if found is None:
            return None
        order, (stdin, stdout, stderr, number) = found
        channel = socket.socket(fileno=number)
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for end in (orders, channel, *channels.values()):
                end.close()
            for end in (woken, wakes):
                os.close(end)
            for descriptor, target in zip((stdin, stdout, stderr), range(3), strict=True):
                os.dup2(descriptor, target)
                os.close(descriptor)
            return order
        for descriptor in (stdin, stdout, stderr):
            os.close(descriptor)
        channels[pid] = channel
        channel.sendall(NUMBER.pack(pid))


def become(order: dict[str, Any]) -> None:
    """Be what `python` with these arguments would be."""
    gc.unfreeze()
    os.chdir(order["cwd"] or ".")
    os.environ.clear()
    os.environ.update(order["env"])
    engine.crash.observer = engine.crash._killer(os.environ.get("GANGLION_CRASH_AT", ""))
    first, *others = order["arguments"]
    if first == "-c":
        sys.path[0], sys.argv = "", ["-c", *others[1:]]
        main = sys.modules["__main__"] = types.ModuleType("__main__")
        exec(compile(others[0], "<string>", "exec"), main.__dict__)
    else:
        sys.path[0], sys.argv = os.path.dirname(first), [first, *others]  # noqa: PTH120
        runpy.run_path(first, run_name="__main__")


def end(code: int) -> None:
    """In order, but for this: taking apart all that was imported, which is four fifths of a short process."""
    threading._shutdown()
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):
        sys.exit(code)
    os._exit(code)


if __name__ == "__main__":
    for name in MODULES:
        with suppress(Exception):
            importlib.import_module(name)
    with suppress(Exception):
        importlib.import_module("agent.cli.root").program()
    order = serve(socket.socket(fileno=int(sys.argv[1])))
    if order is not None:
        try:
            become(order)
        except SystemExit as done:
            if done.code is not None and not isinstance(done.code, int):
                raise
            end(done.code or 0)
        else:
            end(0)

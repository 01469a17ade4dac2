"""`fleet top`: the fleet as it works now, looked at again each second."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Annotated

import msgspec
import typer

from agent.cli.addressed import to_server
from agent.cli.failure import Exit, Failure
from agent.cli.fleet_look import View, look
from agent.cli.fleet_picture import picture
from agent.cli.options import AsJson
from agent.cli.reach import Where
from agent.cli.recorder import Recorder, Selected, at_the_fleet
from agent.cli.screen import console, write_json

LOOK_SECONDS = 1.0
MINUTES = 15


@to_server
def top(
    labels: Selected = "*",
    minutes: Annotated[int, typer.Option("--minutes", "-m", min=1, max=24 * 60, help="How far to look back.")]
        = MINUTES,
    once: Annotated[bool, typer.Option("--once", help="Look once, and print it.")] = False,
    recorder: Recorder = None,
    *,
    where: Where,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Watch the fleet work: rates, failures, durations, the busiest agents; q ends it.

    Into a pipe it looks once.
    """
    if once or as_json or not sys.stdout.isatty():
        view = asyncio.run(_once(where, labels, minutes, recorder))
        if as_json:
            write_json(view)
        else:
            console().print(picture(view, minutes))
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with suppress(KeyboardInterrupt):  # the normal end, beside q
        asyncio.run(_live(where, labels, minutes, recorder))


async def _once(where: Where, labels: str, minutes: int, wanted: str | None) -> View:
    async with at_the_fleet(where) as (wire, tenant):
        return await look(wire, tenant, where, labels, minutes, wanted)


async def _live(where: Where, labels: str, minutes: int, wanted: str | None) -> None:
    from rich.live import Live

    async with at_the_fleet(where) as (wire, tenant), _keys() as pressed:
        view = await look(wire, tenant, where, labels, minutes, wanted)
        with Live(console=console(), screen=True, auto_refresh=False) as live:
            while True:
                live.update(picture(view, minutes), refresh=True)
                if await _is_quit(pressed):
                    return
                try:
                    view = await look(wire, tenant, where, labels, minutes, wanted)
                except Failure as failure:
                    if failure.code is not Exit.UNREACHABLE:
                        raise
                    view = msgspec.structs.replace(view, problem=f"{failure}; trying on")
                    with suppress(Exception):
                        await wire.renew()


@asynccontextmanager
async def _keys() -> AsyncIterator["asyncio.Queue[str]"]:
    """Keys as they are pressed, without a line end; none where the input is no terminal."""
    pressed: asyncio.Queue[str] = asyncio.Queue()
    if not sys.stdin.isatty():
        yield pressed
        return
    import termios
    import tty

    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    loop = asyncio.get_running_loop()
    try:
        tty.setcbreak(descriptor)
        loop.add_reader(descriptor, lambda: pressed.put_nowait(os.read(descriptor, 64).decode(errors="replace")))
        yield pressed
    finally:
        loop.remove_reader(descriptor)
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


async def _is_quit(pressed: "asyncio.Queue[str]") -> bool:
    """Whether somebody asks for the end until it is time to look again."""
    with suppress(TimeoutError):
        async with asyncio.timeout(LOOK_SECONDS):
            while not _asks_for_the_end(await pressed.get()):
                continue
            return True
    return False


def _asks_for_the_end(keys: str) -> bool:
    """q, Ctrl-D, or nobody there any more."""
    return not keys or not {"q", "Q", "\x04"}.isdisjoint(keys)

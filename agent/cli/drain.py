"""`drain`: an agent finishes what it has begun, and stops."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.addressed import read_seconds, to_fleet
from agent.cli.failure import Exit, Failure
from agent.cli.fleetwide import each
from agent.cli.options import AsJson, settings
from agent.cli.reach import Where, talk
from agent.cli.screen import remark, say, write_json
from agent.draining import Drain, Draining, Phase
from agent.lock import holder

if TYPE_CHECKING:
    from mesh.client import ServiceClient

GONE_SECONDS = 20.0
"""How long an agent here may take from its last answer to its end."""
LOOK_SECONDS = 0.05
SHOWN = 5


@to_fleet
def drain(
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Stay until the end, and say what still runs.")] = True,
    within: Annotated[
        float | None,
        typer.Option("--within", help="How long running executions may take; then they are parked. As long as they "
                     "need, unless told.", parser=read_seconds, metavar="DURATION", show_default=False),
    ] = None,
    *,
    where: Where,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Let an agent finish what runs, take nothing new, and stop.

    It fetches no more messages, and neither schedules nor files nor other workflows start anything; requests to start
    something are refused. Other agents take the messages that they share with it. Running executions go on to their
    end. Those that wait for a time, a message or a form, or for their turn, stay in the store and go on at the next
    start. Then the process ends with 0.

    With --within, what still runs when the time is over is parked at its checkpoint, and goes on at the next start.
    SIGTERM or Ctrl-C on the agent do that at once.

    Exit code 0: drained, or with --no-wait: it begins to. 1: something was parked, or the agent ended before.
    """
    conversation = partial(_drained, request=Drain(timeout=within), wait=wait)
    if where.fleet is not None:
        each(where, conversation, _in_lines, is_ok=lambda state: state.phase is not Phase.PARKED, as_json=as_json)
        return
    state = talk(where, conversation if as_json else partial(conversation, told=_shown()))
    if wait and not (where.url or where.agent):
        asyncio.run(_until_gone(where))
    if as_json:
        write_json(state)
    else:
        say(_in_lines(state))
    if state.phase is Phase.PARKED:
        raise typer.Exit(Exit.FAILED)


async def _drained(
    client: "ServiceClient", *, request: Drain, wait: bool, told: Callable[[Draining], None] = lambda _: None
) -> Draining:
    """How far it is, with `wait` at the end."""
    from engine.control import Refused
    from mesh.errors import AgentUnreachable

    state = await client.call("drain", request, Draining)
    while wait and state.phase is Phase.DRAINING:
        told(state)
        try:
            state = await client.call("drain", Drain(follow=True), Draining)
        except AgentUnreachable:
            raise Refused(
                500, f"it ended while {_executions(state.running)} ran: was it killed? They go on at its next start"
            ) from None
    return state


async def _until_gone(where: Where) -> None:
    """The process is still closing its store when it answers."""
    data_path = settings(where.config, where.data_dir).data_path
    try:
        async with asyncio.timeout(GONE_SECONDS):
            while holder(data_path) is not None:  # noqa: ASYNC110 - another process
                await asyncio.sleep(LOOK_SECONDS)
    except TimeoutError:
        raise Failure(
            f"the agent has drained, but process {holder(data_path)} has not ended yet", Exit.FAILED
        ) from None


def _shown() -> Callable[[Draining], None]:
    """Says beside the result what still runs, whenever that changes."""
    before: object = None

    def show(state: Draining) -> None:
        nonlocal before
        ids = [one.execution for one in state.executions]
        if ids != before:
            remark(_in_lines(state))
        before = ids

    return show


def _in_lines(state: Draining) -> str:
    match state.phase:
        case Phase.DRAINED:
            return f"{state.agent} has drained and stops"
        case Phase.PARKED:
            head = f"{state.agent} stops; parked, to go on at its next start: {_executions(state.running)}"
        case _:
            head = f"{state.agent} drains, {_executions(state.running)} still running"
    lines = [
        "  ".join(["", one.execution, one.workflow, *([f"at {', '.join(one.nodes[:3])}"] if one.nodes else [])])
        for one in state.executions[:SHOWN]
    ]
    more = state.running - len(lines)
    return "\n".join([head, *lines, *([f"  and {more} more"] if more > 0 and lines else [])])


def _executions(count: int) -> str:
    return f"{count} execution{'' if count == 1 else 's'}"

"""`log`: what agents write to their logs, from anywhere."""

import asyncio
import signal
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from agent.cli.addressed import to_fleet
from agent.cli.failure import Exit, Failure
from agent.cli.fleetwide import each
from agent.cli.options import AsJson
from agent.cli.reach import Where, fleet_line, talk
from agent.cli.screen import clean, console, local_time, remark, short, write_json
from agent.cli.selection import selected
from agent.cli.whereabouts import since
from agent.config.model import Level
from agent.log_tail import LogLine, LogLines, LogQuery
from agent.single import single_error

if TYPE_CHECKING:
    from rich.text import Text

    from mesh.client import ServiceClient
    from mesh.line import Line

POLL_SECONDS = 0.5
LOOK_SECONDS = 10.0
"""How often a follower of a fleet looks for agents that have come."""
PAGE = 500
STYLES = {"debug": "dim", "info": "cyan", "warning": "yellow", "error": "bold red", "critical": "bold red"}


@to_fleet
def log(
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what is written from now on.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, max=1000, help="How many of the newest.")] = 50,
    level: Annotated[Level, typer.Option("--level", help="At least so grave.")] = Level.DEBUG,
    *,
    where: Where,
    as_json: AsJson = False,
) -> None:
    """Show the newest log lines of an agent; with -f also what it writes from now on.

    An agent keeps its newest 2000 lines in memory, masked as in its own log, and only those that its [log] level lets
    through.
    """
    request = LogQuery(limit=lines, level=level.value)
    if follow:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C is the normal end
        if where.fleet is not None:
            asyncio.run(_follow_all(where, request, as_json=as_json))
            return
        talk(where, lambda client: _follow(client, request, width=0, as_json=as_json))
    elif where.fleet is not None:
        each(where, lambda client: client.call("log", request, LogLines), _in_lines, as_json=as_json)
    else:
        _show(talk(where, lambda client: client.call("log", request, LogLines)), width=0, as_json=as_json)


async def _follow_all(where: Where, request: LogQuery, *, as_json: bool) -> None:
    """One follower for each agent; those that come later get theirs too. Raises Failure when the connection is lost."""
    async with fleet_line(where) as (line, tenant):
        with single_error():
            async with asyncio.TaskGroup() as tasks:
                followed: set[str] = set()
                async for members in _looks(line, tenant, where.fleet or ""):
                    width = max(len(agent) for agent in (*followed, *members))
                    for agent, absence in members.items():
                        if agent in followed:
                            continue
                        followed.add(agent)
                        if absence:
                            remark(f"{agent}: {absence}")
                        client = _client(line, tenant, agent, where.timeout)
                        tasks.create_task(
                            _follow(client, request, width=width, as_json=as_json), name=f"log of {agent}"
                        )


async def _looks(line: "Line", tenant: str, labels: str) -> AsyncIterator[dict[str, str]]:
    """The agents that are meant, with why they are absent, again and again."""
    while True:
        yield {member.beat.agent: since(member) for member in await selected(line, tenant, labels)}
        await asyncio.sleep(LOOK_SECONDS)


async def _follow(
    client: "ServiceClient", request: LogQuery, *, width: int, as_json: bool, is_patient: bool = False
) -> None:
    """Without end. An agent that is away is asked again until it is back; if not `is_patient`, it must be there first.

    Raises AgentMissing, and Failure for a connection that is lost.
    """
    from mesh.errors import AgentMissing, LinkBroken

    is_away = False
    while True:
        try:
            answer = await client.call("log", request, LogLines, is_repeatable=True)
        except AgentMissing as missing:
            if request.after is None and not is_patient:
                raise
            if not is_away:
                remark(f"{missing}; trying on")
            is_away = True
            await asyncio.sleep(POLL_SECONDS)
            continue
        except LinkBroken as broken:
            raise Failure(f"{broken}: follow again once it is back", Exit.UNREACHABLE) from None
        is_away = False
        if answer.missed:
            remark(f"{answer.agent}: {answer.missed} lines are kept no more")
        _show(answer, width=width, as_json=as_json)
        request = LogQuery(limit=PAGE, level=request.level, after=answer.last, run=answer.run)
        if len(answer.lines) < PAGE:
            await asyncio.sleep(POLL_SECONDS)


def _client(line: "Line", tenant: str, agent: str, seconds: float | None) -> "ServiceClient":
    from mesh.client import CALL_SECONDS, ServiceClient

    return ServiceClient(line, tenant, agent, seconds or CALL_SECONDS)


def _show(answer: LogLines, *, width: int, as_json: bool) -> None:
    """With a `width` each line begins with the agent."""
    from rich.text import Text

    for line in answer.lines:
        if as_json:
            write_json({"agent": answer.agent, **msgspec.to_builtins(line)})
            continue
        for text in _in_colour(line).split("\n"):
            console().print(Text(f"{answer.agent:<{width}}  " if width else "", style="bold") + text)
    if answer.lines and not as_json:
        console().file.flush()


def _in_colour(line: LogLine) -> "Text":
    from rich.text import Text

    text = Text(f"{local_time(line.time)} ", style="dim")
    text.append(f"{line.level:<7} ", style=STYLES.get(line.level, ""))
    text.append(f"{line.logger.removeprefix('ganglion.').partition('.')[0]:<8} ", style="default")
    text.append(clean(line.message), style="default")
    for name, value in line.fields.items():
        text.append(clean(f"  {name}={value if isinstance(value, str) else short(value)}"))
    if line.exception:
        text.append(f"\n{clean(line.exception)}")
    return text


def _in_lines(answer: LogLines) -> str:
    return "\n".join(_in_colour(line).plain for line in answer.lines) or "no lines"

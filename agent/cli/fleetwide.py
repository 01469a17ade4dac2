"""One question to many agents, side by side: a line for each as it answers, and an exit code that is true to all.

    0  every agent did it        1  some refused or failed        3  none refused, but some did not answer

Lost and stopped agents are asked too, with less patience: only the agent itself knows whether it is there.
"""

import asyncio
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

import msgspec
import typer

from agent.cli.failure import Exit
from agent.cli.reach import Where, ask, fleet_line
from agent.cli.screen import clean, console, remark, say, write_json
from agent.cli.selection import selected
from agent.cli.whereabouts import since
from agent.single import single_error
from engine.control.messages import Done

if TYPE_CHECKING:
    from mesh.client import ServiceClient
    from mesh.line import Line
    from mesh.presence.members import Member

T = TypeVar("T")
A = TypeVar("A", bound=msgspec.Struct)
AT_ONCE = 32
LOST_SECONDS = 2.0
"""How long one that counts as lost may take."""


class Outcome(StrEnum):
    """What became of the question to one agent."""

    OK = "ok"
    FAILED = "failed"
    """It answered that it could not, or that what it did failed."""
    NO_ANSWER = "no answer"


class Answered(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One agent's line; with --json it is printed as it is."""

    agent: str
    outcome: Outcome
    state: str
    """up, draining, stopped or lost, as the others know it."""
    answer: object = None
    error: str = ""
    code: int = 0
    """Of a refusal, as in HTTP."""


def show_answer(
    where: Where,
    verb: str,
    request: msgspec.Struct,
    answer: type[A],
    show: Callable[[A], None],
    told: Callable[[A], str],
    *,
    as_json: bool,
) -> None:
    """Ask one agent and `show` its answer, or every agent of `where.fleet`: `told` makes lines of an answer.

    Raises Failure, and typer.Exit with the exit code of a fleet.
    """
    if where.fleet is not None:
        each(where, lambda client: client.call(verb, request, answer), told, as_json=as_json)
        return
    found = ask(where, verb, request, answer)
    if as_json:
        write_json(found)
    else:
        show(found)


def show_done(where: Where, verb: str, request: msgspec.Struct, *, as_json: bool) -> None:
    """The same for verbs that answer with what they did."""
    show_answer(where, verb, request, Done, lambda done: say(done.message), lambda done: done.message, as_json=as_json)


def each(
    where: Where,
    conversation: "Callable[[ServiceClient], Awaitable[T]]",
    told: Callable[[T], str],
    *,
    as_json: bool,
    is_ok: Callable[[T], bool] = lambda _: True,
) -> None:
    """Several requests to every agent of `where.fleet`. `is_ok`: whether an answer counts as done."""

    async def whole() -> Counter[Outcome]:
        async with fleet_line(where) as (line, tenant):
            chosen = await selected(line, tenant, where.fleet or "")
            width = max(len(member.beat.agent) for member in chosen)
            progress = _Progress(len(chosen))
            counts: Counter[Outcome] = Counter()

            def took(answered: Answered, value: T | None) -> None:
                if value is not None and not is_ok(value):
                    answered = msgspec.structs.replace(answered, outcome=Outcome.FAILED)
                counts[answered.outcome] += 1
                progress.clear()
                if as_json:
                    write_json(answered)
                else:
                    _show(answered, "" if value is None else told(value), width)
                progress.show(counts)

            progress.show(counts)
            await _ask_all(line, tenant, chosen, where.timeout, conversation, took)
            progress.clear()
            return counts

    counts = asyncio.run(whole())
    total = counts.total()
    if counts[Outcome.OK] < total and not as_json:
        remark(", ".join([f"of {total} agents", *(f"{count} {name}" for name, count in sorted(counts.items()))]))
    if counts[Outcome.FAILED]:
        raise typer.Exit(Exit.FAILED)
    if counts[Outcome.NO_ANSWER]:
        raise typer.Exit(Exit.UNREACHABLE)


async def _ask_all(
    line: "Line",
    tenant: str,
    chosen: "Sequence[Member]",
    timeout: float | None,
    conversation: "Callable[[ServiceClient], Awaitable[T]]",
    took: Callable[[Answered, T | None], None],
) -> None:
    """`took` gets each agent's answer as it comes."""
    from mesh.client import CALL_SECONDS, ServiceClient
    from mesh.presence.members import Standing

    room = asyncio.Semaphore(AT_ONCE)
    patience = timeout or CALL_SECONDS

    async def one(member: "Member") -> None:
        is_gone = member.state in (Standing.LOST, Standing.STOPPED)
        client = ServiceClient(line, tenant, member.beat.agent, min(patience, LOST_SECONDS) if is_gone else patience)
        async with nullcontext() if is_gone else room:  # who is gone keeps nobody waiting
            answered = await _asked(client, member, conversation)
        took(*answered)

    with single_error():
        async with asyncio.TaskGroup() as tasks:
            for member in chosen:
                tasks.create_task(one(member), name=f"ask {member.beat.agent}")


async def _asked(
    client: "ServiceClient",
    member: "Member",
    conversation: "Callable[[ServiceClient], Awaitable[T]]",
) -> tuple[Answered, T | None]:
    from engine.control import Refused
    from mesh.errors import AgentUnreachable

    agent, state = client.agent, member.state.value
    try:
        value = await conversation(client)
    except Refused as refused:
        return Answered(
            agent=agent, outcome=Outcome.FAILED, error=refused.message, code=refused.code, state=state
        ), None  # fmt: skip
    except AgentUnreachable as error:
        text = "; ".join(filter(None, (str(error), since(member))))
        return Answered(agent=agent, outcome=Outcome.NO_ANSWER, error=text, state=state), None
    return Answered(agent=agent, outcome=Outcome.OK, answer=value, state=state), value


def _show(answered: Answered, text: str, width: int) -> None:
    from rich.text import Text

    for line in (answered.error or text or "done").splitlines():
        shown = Text(f"{answered.agent:<{width}}  ", style="bold")
        if answered.outcome is Outcome.NO_ANSWER:
            shown.append("no answer  ", style="yellow")
        elif answered.outcome is Outcome.FAILED:
            shown.append("failed  ", style="bold red")
        console().print(shown.append(clean(line), style=""))


class _Progress:
    """On a terminal: how many have answered. Beside the lines, never in them."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._is_shown = sys.stderr.isatty() and total > 1

    def show(self, counts: Counter[Outcome]) -> None:
        if self._is_shown:
            sys.stderr.write(f"{counts.total()} of {self._total} agents …")
            sys.stderr.flush()

    def clear(self) -> None:
        if self._is_shown:
            sys.stdout.flush()
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

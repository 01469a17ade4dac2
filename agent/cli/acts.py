"""`trigger`, `pause`, `resume`, `cancel`, `retry`, `fork`, `resolve`: what people do to executions."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Annotated
from uuid import uuid4

import msgspec
import typer

from agent.cli.addressed import to_agent, to_fleet
from agent.cli.complete import nodes as complete_nodes
from agent.cli.complete import workflows as complete_workflows
from agent.cli.executions import Id, exit_code
from agent.cli.failure import Exit, Failure
from agent.cli.fleetwide import each, show_done
from agent.cli.options import AsJson, Data, Params, assignments, read_data
from agent.cli.picture import show_execution
from agent.cli.reach import Where, talk
from agent.cli.screen import say, seconds, write_json
from agent.cli.watching import watched
from engine.control.messages import ById, Cancel, Fork, Forked, Resolve, Retry, Start, Started
from engine.control.views import Show, Shown
from engine.values import InvalidValue, Json, decode_json

if TYPE_CHECKING:
    from mesh.client import ServiceClient


@to_fleet
def trigger(
    workflow: Annotated[str, typer.Argument(help="The workflow's name.", autocompletion=complete_workflows)],
    data: Data = None,
    param: Params = None,
    id: Annotated[
        str, typer.Option("--id", help="With an id it is started at most once, however often this is repeated.")
    ] = "",
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the end; exit code 1 if it fails.")] = False,
    *,
    where: Where,
    as_json: AsJson = False,
) -> None:
    """Start an execution of a deployed workflow.

    It is started once, also when the connection breaks before the answer: then it is asked again under the same id.
    """
    request = Start(workflow=workflow, data=read_data(data), params=assignments(param, "-p"), id=id or uuid4().hex)
    begin = partial(_begin, request=request, is_named=bool(id), wait=wait)
    if where.fleet is not None:
        each(where, begin, _in_a_line, is_ok=lambda seen: _code(seen) is Exit.OK, as_json=as_json)
        return
    seen = talk(where, begin if as_json else partial(begin, told=say))
    if as_json:
        write_json(seen)
    elif isinstance(seen, Shown):
        say()
        show_execution(seen)
    raise typer.Exit(_code(seen))


@to_agent
def pause(id: Id, *, where: Where, as_json: AsJson = False) -> None:
    """Let running nodes of an execution finish, start none."""
    show_done(where, "pause", ById(execution=id), as_json=as_json)


@to_agent
def resume(id: Id, *, where: Where, as_json: AsJson = False) -> None:
    """Let a paused execution go on."""
    show_done(where, "resume", ById(execution=id), as_json=as_json)


@to_agent
def cancel(
    id: Id,
    reason: Annotated[str, typer.Option("--reason", help="Kept with the execution.")] = "",
    *,
    where: Where,
    as_json: AsJson = False,
) -> None:
    """Stop an execution for good; running nodes get the grace time."""
    request = Cancel(execution=id, reason=reason)
    show_done(where, "cancel", request, as_json=as_json)


@to_agent
def retry(
    id: Id,
    start: Annotated[
        str,
        typer.Option("--from", help="Also run this node or iteration again, and all that was built on it.",
                     autocompletion=complete_nodes, show_default=False),
    ] = "",
    *,
    where: Where,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Let an execution that failed, was cancelled or ended partial run again from what failed."""
    show_done(where, "retry", Retry(execution=id, node=start), as_json=as_json)


@to_agent
def fork(
    id: Id,
    at: Annotated[
        int | None,
        typer.Option("--at", min=0, help="Begin after this checkpoint; 0 is the beginning. See `checkpoints`.",
                     show_default=False),
    ] = None,
    start: Annotated[
        str,
        typer.Option("--from", help="Run this node or iteration again, and all that was built on it.",
                     autocompletion=complete_nodes, show_default=False),
    ] = "",
    data: Data = None,
    param: Params = None,
    version: Annotated[
        int | None, typer.Option("--version", min=1, help="Another version of the workflow.", show_default=False)
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the end; exit code 1 if it fails.")] = False,
    *,
    where: Where,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Begin a new execution where another one stood, with other inputs or another version of its workflow.

    The old one stays as it is. Results that are not taken over are made again, with new idempotency keys.
    """
    given: Json | msgspec.UnsetType = msgspec.UNSET if data is None else read_data(data)
    request = Fork(execution=id, at=at, node=start, data=given, params=assignments(param, "-p"), version=version)

    async def conversation(client: "ServiceClient") -> tuple[Forked, Shown | None]:
        forked = await client.call("fork", request, Forked)
        if not as_json:
            results = f"{forked.kept} result{'' if forked.kept == 1 else 's'}"
            say(f"{forked.execution}  {forked.workflow}@{forked.version} begins with {results} of {id}")
            if forked.changed:
                say(f"defined otherwise in version {forked.version}: {', '.join(forked.changed)}")
        return forked, await _end(client, forked.execution) if wait else None

    forked, shown = talk(where, conversation)
    if as_json:
        write_json(shown or forked)
    elif shown is not None:
        say()
        show_execution(shown)
    if shown is not None:
        raise typer.Exit(exit_code(shown.info.status))


@to_agent
def resolve(
    id: Id,
    node: Annotated[
        str,
        typer.Argument(help="The node that is in doubt, such as pay or scan[17]/pay.", autocompletion=complete_nodes),
    ],
    completed: Annotated[
        str | None, typer.Option("--completed", help="It happened; its output as JSON.", show_default=False)
    ] = None,
    failed: Annotated[str | None, typer.Option("--failed", help="It did not; why.", show_default=False)] = None,
    retry: Annotated[bool, typer.Option("--retry", help="Try it again.")] = False,
    *,
    where: Where,
    as_json: AsJson = False,
) -> None:
    """Say what became of a node that is in doubt."""
    if (completed is not None) + (failed is not None) + retry != 1:
        raise Failure("say what became of it: exactly one of --completed JSON, --failed MESSAGE, --retry")
    output: Json | msgspec.UnsetType = msgspec.UNSET
    if completed is not None:
        try:
            output = decode_json(completed.encode())
        except InvalidValue as error:
            raise Failure(f"--completed: {error}; null is fine, text goes into quotes") from None
    request = Resolve(execution=id, node=node, completed=output, failed=failed, retry=retry)
    show_done(where, "resolve", request, as_json=as_json)


async def _begin(
    client: "ServiceClient",
    *,
    request: Start,
    is_named: bool,
    wait: bool,
    told: Callable[[str], None] | None = None,
) -> Started | Shown:
    """What was started, or its end. An id makes it safe to ask again."""
    from mesh.errors import AgentMissing, AgentUnreachable, LinkBroken

    doubt = f"it may have been started; to be sure, without starting it twice: add --id {request.id}"
    try:
        started = await client.call("start", request, Started, is_repeatable=True)
    except AgentMissing as missing:
        if not missing.is_silent:
            raise
        raise AgentMissing(f"{missing}; {doubt}", missing.agent, is_silent=True) from None
    except LinkBroken as broken:
        raise AgentUnreachable(f"{broken}; {doubt}") from None
    if not is_named:  # what this very command asked twice is not there already
        started = msgspec.structs.replace(started, duplicate=False)
    if told is not None:
        told(_in_a_line(started))
    return await _end(client, started.execution) if wait else started


def _in_a_line(seen: Started | Shown) -> str:
    if isinstance(seen, Shown):
        info = seen.info
        took = f" in {seconds(info.duration)}" if info.duration is not None else ""
        return f"{info.execution}  {info.workflow}@{info.version} {info.status}{took}  {info.error}".rstrip()
    known = " (it was there already)" if seen.duplicate else ""
    return f"{seen.execution}  {seen.workflow}@{seen.version} accepted{known}"


def _code(seen: Started | Shown) -> Exit:
    return exit_code(seen.info.status) if isinstance(seen, Shown) else Exit.OK


async def _end(client: "ServiceClient", execution: str) -> Shown:
    """The execution once it has ended."""
    return [shown async for shown in watched(client, Show(execution=execution))][-1]

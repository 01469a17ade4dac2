"""`trigger`, `pause`, `resume`, `cancel`, `retry`, `fork`, `resolve`: what people do to executions."""

from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from agent.cli.complete import nodes as complete_nodes
from agent.cli.complete import workflows as complete_workflows
from agent.cli.executions import Id, exit_code
from agent.cli.failure import Failure
from agent.cli.options import AgentName, AsJson, ConfigFile, Data, DataDir, Params, Url, assignments, read_data
from agent.cli.picture import show_execution
from agent.cli.reach import Where, ask, talk
from agent.cli.screen import say, write_json
from agent.cli.watching import watched
from engine.control.messages import ById, Cancel, Done, Fork, Forked, Resolve, Retry, Start, Started
from engine.control.views import Show, Shown
from engine.values import InvalidValue, Json, decode_json

if TYPE_CHECKING:
    from mesh.client import ServiceClient


def trigger(
    workflow: Annotated[str, typer.Argument(help="The workflow's name.", autocompletion=complete_workflows)],
    data: Data = None,
    param: Params = None,
    id: Annotated[
        str, typer.Option("--id", help="With an id it is started at most once, however often this is repeated.")
    ] = "",
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the end; exit code 1 if it fails.")] = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    url: Url = None,
    agent: AgentName = None,
    as_json: AsJson = False,
) -> None:
    """Start an execution of a deployed workflow."""
    request = Start(workflow=workflow, data=read_data(data), params=assignments(param, "-p"), id=id)

    async def conversation(client: "ServiceClient") -> tuple[Started, Shown | None]:
        started = await client.call("start", request, Started)
        if not as_json:
            known = " (it was there already)" if started.duplicate else ""
            say(f"{started.execution}  {started.workflow}@{started.version} accepted{known}")
        return started, await _end(client, started.execution) if wait else None

    started, shown = talk(Where(config, data_dir, url, agent), conversation)
    if as_json:
        write_json(shown or started)
    elif shown is not None:
        say()
        show_execution(shown)
    if shown is not None:
        raise typer.Exit(exit_code(shown.info.status))


def pause(
    id: Id, config: ConfigFile = None, data_dir: DataDir = None, url: Url = None, agent: AgentName = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Let running nodes of an execution finish, start none."""
    _done(Where(config, data_dir, url, agent), "pause", ById(execution=id), f"{id} is paused", as_json)


def resume(
    id: Id, config: ConfigFile = None, data_dir: DataDir = None, url: Url = None, agent: AgentName = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Let a paused execution go on."""
    _done(Where(config, data_dir, url, agent), "resume", ById(execution=id), f"{id} goes on", as_json)


def cancel(
    id: Id,
    reason: Annotated[str, typer.Option("--reason", help="Kept with the execution.")] = "",
    config: ConfigFile = None,
    data_dir: DataDir = None,
    url: Url = None,
    agent: AgentName = None,
    as_json: AsJson = False,
) -> None:
    """Stop an execution for good; running nodes get the grace time."""
    request = Cancel(execution=id, reason=reason)
    _done(Where(config, data_dir, url, agent), "cancel", request, f"{id} is being cancelled", as_json)


def retry(
    id: Id,
    start: Annotated[
        str,
        typer.Option("--from", help="Also run this node or iteration again, and all that was built on it.",
                     autocompletion=complete_nodes, show_default=False),
    ] = "",
    config: ConfigFile = None,
    data_dir: DataDir = None,
    url: Url = None,
    agent: AgentName = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Let an execution that failed, was cancelled or ended partial run again from what failed."""
    _done(Where(config, data_dir, url, agent), "retry", Retry(execution=id, node=start), f"{id} goes on", as_json)


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
    config: ConfigFile = None,
    data_dir: DataDir = None,
    url: Url = None,
    agent: AgentName = None,
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

    forked, shown = talk(Where(config, data_dir, url, agent), conversation)
    if as_json:
        write_json(shown or forked)
    elif shown is not None:
        say()
        show_execution(shown)
    if shown is not None:
        raise typer.Exit(exit_code(shown.info.status))


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
    config: ConfigFile = None,
    data_dir: DataDir = None,
    url: Url = None,
    agent: AgentName = None,
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
    _done(Where(config, data_dir, url, agent), "resolve", request, f"{node} of {id} is resolved", as_json)


def _done(where: Where, verb: str, request: msgspec.Struct, message: str, as_json: bool) -> None:
    answer = ask(where, verb, request, Done)
    if as_json:
        write_json(answer)
    else:
        say(answer.message or message)


async def _end(client: "ServiceClient", execution: str) -> Shown:
    """The execution once it has ended."""
    return [shown async for shown in watched(client, Show(execution=execution))][-1]

"""`trigger`, `pause`, `resume`, `cancel`, `resolve`: what people do to executions."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from agent.cli.complete import workflows as complete_workflows
from agent.cli.executions import Id, exit_code
from agent.cli.failure import Failure
from agent.cli.options import AgentName, AsJson, ConfigFile, Data, DataDir, Params, Url, assignments, read_data
from agent.cli.picture import show_execution
from agent.cli.reach import Where, ask, talk
from agent.cli.screen import say, write_json
from engine.control.messages import ById, Cancel, Done, Resolve, Start, Started
from engine.control.views import Show, Shown
from engine.states import FINISHED
from engine.values import InvalidValue, Json, decode_json

if TYPE_CHECKING:
    from mesh.client import ServiceClient

FIRST_LOOK_SECONDS, LONGEST_LOOK_SECONDS = 0.02, 1.0


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


def resolve(
    id: Id,
    node: Annotated[str, typer.Argument(help="The node that is in doubt.")],
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
    """The execution once it has ended: looking again and again is right whatever gets lost on the way."""
    pause = FIRST_LOOK_SECONDS
    while True:
        shown = await client.call("show", Show(execution=execution), Shown)
        if shown.info.status in FINISHED:
            return shown
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, LONGEST_LOOK_SECONDS)

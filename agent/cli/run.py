"""`run`: one execution of a file, in this process, without an agent."""

import asyncio
from contextlib import AsyncExitStack, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from agent.cli.executions import exit_code
from agent.cli.failure import Exit, Failure
from agent.cli.options import AsJson, ConfigFile, Data, Params, assignments, read_data, read_source, settings
from agent.cli.picture import show_execution
from agent.cli.screen import console, remark, say, write_json
from agent.cli.tree import node_table
from agent.cli.writing import with_texts
from agent.config import Config
from engine.control.views import Shown
from engine.values import InvalidValue, Json

if TYPE_CHECKING:
    from agent.trial import Task, Trial
    from engine.store.outbox import Publication


def run(
    file: Annotated[Path, typer.Argument(help="A workflow file; - is standard input.")],
    param: Params = None,
    data: Data = None,
    mock: Annotated[
        list[str] | None,
        typer.Option("--mock", help="NODE=JSON: the node gives this instead of running.", show_default=False),
    ] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option("--data-dir", help="Keep the store here; without it nothing is kept.", show_default=False),
    ] = None,
    url: Annotated[
        str | None,
        typer.Option("--url", help="NATS server for publish and request nodes; without it nothing is sent.",
                     show_default=False),
    ] = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Run a workflow file once, here and now; no agent is needed."""
    if str(file) == "-" == data:
        raise Failure("the file and --data can't both come from standard input")
    from agent.trial import Task

    loaded = settings(config, data_dir)
    task = Task(
        source=read_source(file),
        filename="<stdin>" if str(file) == "-" else str(file),
        params=assignments(param, "-p"),
        data=read_data(data),
        mocks=assignments(mock, "--mock"),
        folder=None if str(file) == "-" else file.parent,
    )
    try:
        code = asyncio.run(_run(task, loaded, url=url, keep=data_dir, as_json=as_json))
    except asyncio.CancelledError:  # the second Ctrl-C; the loop is closed already
        code = Exit.FAILED
    raise typer.Exit(code)


async def _run(task: "Task", config: Config, *, url: str | None, keep: Path | None, as_json: bool) -> Exit:
    from agent.borrowed_nats import borrowed_nats
    from agent.logs import engine_log, set_up_logs
    from agent.secret_files import SecretFiles
    from agent.single import single_error
    from agent.stopping import canceller, two_phase_stop
    from agent.trial import Trial
    from engine.definition import InvalidWorkflow
    from engine.store import StoreError
    from mesh.errors import AgentUnreachable, InvalidAccess

    secrets = SecretFiles(config.data_path)
    set_up_logs(config.log.level, config.log.format, revealed=secrets.revealed)
    try:
        with single_error():
            async with AsyncExitStack() as stack:
                nats = await stack.enter_async_context(borrowed_nats(config, url)) if url else None
                requester = nats.requester if nats else None
                trial = await stack.enter_async_context(
                    Trial.open(task, config, log=engine_log, secrets=secrets, requester=requester, keep=keep)
                )

                def cancel() -> None:
                    remark("cancelling; once more stops at once")
                    trial.cancel()

                with two_phase_stop(drain=cancel, cancel=canceller()):
                    shown = await _follow(trial, quiet=as_json)
                if nats is not None:
                    await nats.send(trial.outbox)
                unsent = await trial.outbox.publications()
    except (InvalidWorkflow, InvalidValue, InvalidAccess) as invalid:
        raise Failure(str(invalid)) from None
    except AgentUnreachable as error:
        raise Failure(str(error), Exit.UNREACHABLE) from None
    except StoreError as error:
        raise Failure(str(error), Exit.FAILED) from None
    _report(shown, unsent, as_json=as_json, has_nats=url is not None)
    return exit_code(shown.info.status)


async def _follow(trial: "Trial", *, quiet: bool) -> Shown:
    """The execution's end; on a terminal its nodes are shown as they go, and what they write as it comes."""
    from rich.live import Live

    screen = console(error=True)
    with (
        Live(console=screen, transient=True, auto_refresh=False)
        if screen.is_terminal and not quiet
        else nullcontext() as live
    ):
        async for shown in trial.watch():
            if live is not None:
                table = node_table(shown.nodes, screen.width)
                live.update(with_texts(table, trial.texts, screen.width), refresh=True)
    return shown


def _report(shown: Shown, unsent: "list[Publication]", *, as_json: bool, has_nats: bool) -> None:
    if as_json:
        write_json({**msgspec.structs.asdict(shown), "unsent": [_message(message) for message in unsent]})
        return
    show_execution(shown, kept=False)
    if unsent:
        reason = "it was not taken in time" if has_nats else "there is no NATS here"
        say(f"\nNot sent, because {reason} ({len(unsent)}):")
        for message in unsent:
            say(f"  {message.subject}  {_message(message)['body'][:160]}")


def _message(message: "Publication") -> dict[str, Json]:
    return {
        "node": message.path,
        "subject": message.subject,
        "headers": message.headers,
        "body": message.body.decode("utf-8", "backslashreplace"),
    }

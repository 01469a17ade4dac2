"""`backup`, `restore`: the store as one file, and back."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.backups import STORE, BackupState, MakeBackup
from agent.cli.addressed import to_agent
from agent.cli.failure import Exit, Failure
from agent.cli.options import AsJson, ConfigFile, DataDir, settings, settings_to_fill
from agent.cli.reach import Where, talk
from agent.cli.screen import console, remark, say, write_json
from agent.lock import holder, locked
from agent.ownership import hand_over
from engine.store.errors import StoreError

if TYPE_CHECKING:
    from engine.store.backup import Progress
    from mesh.client import ServiceClient

LOOK_SECONDS = 0.2
SHOWN = 10
"""Damaged executions that are named; `--json` has all that are known."""


@to_agent
def backup(
    file: Annotated[Path, typer.Argument(help="The backup; on the agent's machine, if that is another one.")],
    force: Annotated[bool, typer.Option("--force", help="Overwrite an older backup.")] = False,
    *,
    where: Where,
    as_json: AsJson = False,
) -> None:
    """Copy the store to one file, verified, also while the agent works.

    It holds workflows, executions with their results, state, schedules and dead letters. It does not hold secrets, the
    agent's id, messages that wait in NATS (JetStream), and what was recorded of the fleet (fleet.db).
    """
    data_path = settings(where.config, where.data_dir).data_path
    is_remote = bool(where.url or where.agent)
    if is_remote or holder(data_path) is not None:
        made = _by_the_agent(where, file, force=force, is_remote=is_remote)
    else:
        made = _here(data_path, file.absolute(), force=force)
    if as_json:
        write_json(made)
        return
    say(f"{made.path}: {made.executions} executions, {made.size / 1e6:.1f} MB, verified")
    if made.left_out:
        remark(f"not in it: {made.left_out}, what was recorded of the fleet")
    _tell_damaged(made.damaged, "damaged in the store itself; everything else is whole")


def restore(
    file: Annotated[Path, typer.Argument(help="A file that `ganglion backup` made.")],
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Put a backup in the place of the store. The agent must not run; the old store is kept aside.

    Executions that had not ended go on from where the backup has them: what they did since, they do again, under the
    same idempotency keys. Messages that were taken in since are not in NATS any more, and do not come again.
    """
    from engine.clock import SystemClock
    from engine.store.restoring import restore as put_back

    data_path = settings_to_fill(config, data_dir).data_path
    try:
        with locked(data_path):
            done = put_back(file.absolute(), data_path / STORE, now=SystemClock().now(), told=_shown())
        with suppress(OSError):  # doctor and the next start tell of files that the service can't read
            hand_over(data_path)
    except StoreError as error:
        raise Failure(str(error), Exit.FAILED) from None
    if as_json:
        write_json(done)
        return
    say(f"{done.store} is restored: {done.executions} executions, of which {done.open} go on at the next start")
    if done.replaced:
        say(f"the old store is {done.replaced}; remove it when you need it no more")
    _tell_damaged(done.damaged, "damaged; they will be blocked, everything else runs")


def _here(data_path: Path, file: Path, *, force: bool) -> BackupState:
    """Without an agent: this process copies."""
    from agent.backup_desk import done
    from engine.store.backup import back_up

    if not (data_path / STORE).exists():
        raise Failure(f"{data_path} holds no store: name the agent's --data-dir")
    try:
        with locked(data_path):
            made = back_up(data_path / STORE, file, force=force, told=_shown())
    except StoreError as error:
        raise Failure(str(error), Exit.FAILED) from None
    return done(made, data_path / STORE)


def _by_the_agent(where: Where, file: Path, *, force: bool, is_remote: bool) -> BackupState:
    request = MakeBackup(path=str(file if is_remote else file.absolute()), force=force)

    async def conversation(client: "ServiceClient") -> BackupState:
        state = await client.call("backup", request, BackupState)
        show = _shown()
        while state.state == "running":
            await asyncio.sleep(LOOK_SECONDS)
            state = await client.call("backup", MakeBackup(), BackupState)
            show(_progress(state))
        return state

    state = talk(where, conversation)
    if state.state != "done":
        raise Failure(state.message or f"the agent knows of no backup to {request.path}: make it again", Exit.FAILED)
    return state


def _progress(state: BackupState) -> "Progress":
    from engine.store.backup import Progress

    return Progress(state.doing, state.done, state.total)


def _shown() -> "Callable[[Progress], None]":
    """Shows on a terminal how far it is, each tenth once."""
    told = ""

    def show(progress: "Progress") -> None:
        nonlocal told
        share = f" {progress.done * 10 // progress.total * 10} %" if progress.total else ""
        line = f"{progress.doing}{share}"
        if line != told and console(error=True).is_terminal:
            remark(line)
        told = line

    return show


def _tell_damaged(damaged: Mapping[str, str], what: str) -> None:
    if damaged:
        remark(f"{len(damaged)} executions are {what}:")
        for execution, problem in list(damaged.items())[:SHOWN]:
            remark(f"  {execution}  {problem}")

"""`identity`: whether a data directory is an agent of its own, or a copy of one."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from agent.backups import STORE
from agent.cli.failure import Exit, Failure
from agent.cli.options import AsJson, ConfigFile, DataDir, settings
from agent.cli.screen import say, write_json
from agent.cli.typos import Commands
from agent.fleet.fingerprint import FILE as FINGERPRINT
from agent.fleet.fingerprint import fingerprint, is_where_it_was
from agent.fleet.fingerprint import keep as keep_fingerprint
from agent.fleet.twin import FILE, Twin, forget, found_before
from agent.identity import FILE as AGENT_ID
from agent.identity import kept_id, renew_id
from agent.lock import locked
from agent.single import single_error
from agent.update.directory import refuse_newer
from agent.update.program import this_program
from engine.store.errors import StoreError

if TYPE_CHECKING:
    from engine.dispatch.renewal import Renewed

NATS = "nats"
"""The embedded server's part of the data directory."""

group = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    help="Whether a data directory is an agent of its own, or a copy of one.\n\n"
    "Two agents under one id would both do everything: an agent that finds another one under its id where the agents "
    "meet (an external server, or a hub) stops, and refuses to start until you say which of the two this is: "
    "`new` makes it an agent of its own, `keep` says that the other one is gone for good.",
)


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Who a data directory is."""

    agent: str
    """Empty: made at the first start."""
    is_configured: bool
    """By [agent] id."""
    was_moved: bool
    """It was moved or copied since the agent last ran: the next start looks around before anything runs."""
    twin: Twin | None
    """Another agent under this id that was found; starts are refused."""


class Renewal(msgspec.Struct, frozen=True, kw_only=True):
    """What `new` did."""

    agent: str
    """Empty with --image: named at the first start."""
    before: str
    epoch: str
    cancelled: int
    """Executions that were under way, and are the other agent's."""
    dropped: int
    """Facts and messages that the other agent sends."""
    nats: str
    """Where the embedded server's streams are now, with messages that are the other agent's too; empty for none."""


@group.command()
def show(config: ConfigFile = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show which agent a data directory is, and whether it seems to be a copy."""
    found = settings(config, data_dir)
    path = found.data_path
    identity = Identity(
        agent=found.agent.id or kept_id(path), is_configured=bool(found.agent.id),
        was_moved=path.is_dir() and not is_where_it_was(path), twin=found_before(path),
    )  # fmt: skip
    if as_json:
        write_json(identity)
        return
    say(f"agent {identity.agent or '(named at the first start)'}{', by [agent] id' if identity.is_configured else ''}")
    if identity.twin is not None:
        where = f" on {identity.twin.host}" if identity.twin.host else ""
        say(f"another one under this id was found{where}: `ganglion identity new`, or `ganglion identity keep`")
    elif identity.was_moved:
        say("the directory was moved or copied: the next start looks whether its agent runs elsewhere")


@group.command()
def new(
    name: Annotated[str, typer.Option("--id", help="The new id. Empty: the host name and four hex digits.")] = "",
    keep_executions: Annotated[
        bool,
        typer.Option("--keep-executions", help="Go on with what was under way, and send what waits: only if the other "
                     "agent never will."),
    ] = False,
    image: Annotated[
        bool,
        typer.Option("--image", help="Leave the id to the first start: for a directory that is copied to many machines "
                     "next."),
    ] = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Make a copied data directory an agent of its own.

    It gets a new id, and its store a new epoch. Workflows, params, state, secrets and finished executions stay. With
    --image each copy of the directory makes an id of its own when it starts first.

    What was under way when the directory was copied is the other agent's, which goes on with it. Here executions that
    had not ended are cancelled, facts and messages that had not been sent are dropped, and the embedded server's
    streams are set aside with the messages that wait in them. What this agent accepted itself, between its start and
    the moment when it found the other one, goes on. --keep-executions keeps everything.

    The agent must not run.
    """
    from agent.config.units import is_agent_id

    found = settings(config, data_dir)
    path = found.data_path
    twin = found_before(path)
    if image and (name or found.agent.id):
        raise Failure(f"--image: all copies would be {name or found.agent.id}: leave --id and [agent] id out")
    if name and not is_agent_id(name):
        raise Failure(f"--id {name}: expected up to 63 lower-case letters, digits and hyphens (and not `any`)")
    if found.agent.id and name:
        raise Failure(f"--id {name}: [agent] id = {found.agent.id} in the configuration wins: change it there")
    if found.agent.id and twin is not None and twin.agent == found.agent.id:
        raise Failure(
            f"[agent] id = {found.agent.id} in the configuration is the other agent's too: give this one another id "
            "there, then run this again"
        )
    if not path.is_dir():
        raise Failure(f"{path} is no data directory: name the agent's --data-dir")
    before = (twin.agent if twin is not None else "") or kept_id(path)
    try:
        refuse_newer(path)
        with locked(path):
            own_since = 0 if twin is None else twin.own_since
            renewed = asyncio.run(_renewed(path, keep=keep_executions, own_since=own_since))
            aside = "" if keep_executions or own_since else _set_aside(path)
            if image:
                agent = ""
                for kept in (AGENT_ID, FINGERPRINT):
                    (path / kept).unlink(missing_ok=True)
            else:
                agent = found.agent.id or renew_id(path, name)
                keep_fingerprint(path, fingerprint(path))
            (path / FILE).unlink(missing_ok=True)
    except (StoreError, OSError) as error:
        raise Failure(f"{error}; run it again when that is mended", Exit.FAILED) from None
    done = Renewal(
        agent=agent, before=before, epoch=renewed.epoch, cancelled=renewed.cancelled, dropped=renewed.dropped,
        nats=aside,
    )  # fmt: skip
    if as_json:
        write_json(done)
        return
    if image:
        say(f"each copy of {path} is an agent of its own from its first start on")
    else:
        say(f"this is agent {agent} from now on{f', no longer {before}' if before and before != agent else ''}")
    if done.cancelled:
        say(f"{done.cancelled} executions that were under way are cancelled: they are the other agent's")
    if aside:
        say(f"the streams with messages that waited are in {aside}; remove it when you need it no more")


@group.command()
def keep(config: ConfigFile = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Say that this is the agent, and that the other one under its id is gone for good.

    The next start looks around once more before anything runs, and refuses if the other one still beats. If it is only
    switched off, it stops by itself when it comes back: whichever of two starts later gives way.
    """
    found = settings(config, data_dir)
    path = found.data_path
    if not path.is_dir():
        raise Failure(f"{path} is no data directory: name the agent's --data-dir")
    try:
        with locked(path):
            forget(path)
    except (StoreError, OSError) as error:
        raise Failure(str(error), Exit.FAILED) from None
    agent = found.agent.id or kept_id(path)
    if as_json:
        write_json({"agent": agent})
    else:
        say(f"this is agent {agent}; its next start looks around before anything runs")


async def _renewed(data_dir: Path, *, keep: bool, own_since: int) -> "Renewed":
    from engine.dispatch.renewal import Renewed, renew
    from engine.store import Store

    if not (data_dir / STORE).exists():
        return Renewed("", 0, 0)
    with single_error():
        async with Store.open(data_dir / STORE, program=this_program().told) as store:
            return await renew(store, keep=keep, own_since=own_since)


def _set_aside(data_dir: Path) -> str:
    """The embedded server's streams: messages wait in them that the other agent has too."""
    path = data_dir / NATS
    if not path.exists():
        return ""
    aside = path.with_name(f"{NATS}.replaced-{datetime.now(UTC):%Y%m%dT%H%M%S}")
    path.rename(aside)
    return str(aside)

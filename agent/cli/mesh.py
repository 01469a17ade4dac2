"""`mesh`: what a server that agents share must allow and keep."""

import asyncio
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from agent.cli.failure import Exit, Failure
from agent.cli.options import AsJson, ConfigFile, DataDir, Params, Url, assignments, settings
from agent.cli.screen import say, write_json
from agent.cli.typos import Commands
from engine.values import Json

if TYPE_CHECKING:
    from agent.config import Config
    from mesh.permissions import Rights

group = typer.Typer(
    cls=Commands, no_args_is_help=True, help="What a NATS server that agents share must allow and keep."
)


class Shape(StrEnum):
    """How the lists are printed."""

    NATS = "nats"
    JSON = "json"


@group.command()
def permissions(
    files: Annotated[
        list[Path] | None,
        typer.Argument(help="Workflow files of the agent, or folders of them. Default: workflows_dir.",
                       show_default=False),
    ] = None,
    agent: Annotated[str | None, typer.Option("--agent", help="Id of the agent. Default: the one configured.")] = None,
    tenant: Annotated[str | None, typer.Option("--tenant", help="Its tenant. Default: the one configured.")] = None,
    recorder: Annotated[bool, typer.Option("--recorder", help="It records the fleet's events.")] = False,
    operator: Annotated[bool, typer.Option("--operator", help="For a person's command line instead.")] = False,
    publish: Annotated[
        list[str] | None, typer.Option("--publish", help="A subject that its nodes publish to; repeatable.")
    ] = None,
    subscribe: Annotated[
        list[str] | None, typer.Option("--subscribe", help="A subject of its plain triggers; repeatable.")
    ] = None,
    stream: Annotated[
        list[str] | None, typer.Option("--stream", help="A stream that keeps what it publishes; repeatable.")
    ] = None,
    leaf: Annotated[
        str | None,
        typer.Option("--leaf", help="For its leaf link at a hub of this JetStream domain. Default: hub_domain, if "
                     "a hub is configured.", show_default=False),
    ] = None,
    shape: Annotated[Shape, typer.Option("--format", help="nats: to paste into the server's configuration.")]
    = Shape.NATS,
    param: Params = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:  # fmt: skip
    """Print the exact lists of what a user may publish and subscribe to, each line with its reason.

    Without workflow files the agent may take triggers of every workflow, and publishes nowhere: name both.
    """
    from mesh.permissions import operator_rights

    here = settings(config, data_dir)
    domain = leaf or (here.mesh.hub_domain if here.mesh.hub else "")
    api = f"$JS.{domain}.API" if domain and not operator else "$JS.API"
    of_tenant = tenant or here.agent.tenant
    if operator:
        rights = operator_rights(of_tenant)
    else:
        rights = _agent(
            here, files or [], tenant=of_tenant, agent=agent or here.agent.id or _kept(here), api=api,
            recorder=recorder or here.fleet.record, publish=publish or [], subscribe=subscribe or [],
            streams=stream or [], params=assignments(param, "-p"),
        )  # fmt: skip
    if shape is Shape.JSON:
        write_json(rights)
    else:
        say(in_words_of_nats(rights))


@group.command()
def streams(
    make: Annotated[bool, typer.Option("--make", help="Make what is missing, change what differs.")] = False,
    tenant: Annotated[
        list[str] | None, typer.Option("--tenant", help="A tenant; repeatable. Default: the one configured.")
    ] = None,
    url: Url = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Look at the streams that agents share, or make them for agents that may not.

    As the user of [mesh] credentials, at [mesh] url or --url.
    """
    here = settings(config, data_dir)
    where = url or here.mesh.url
    if not where:
        raise Failure("which server? set [mesh] url, or give --url nats://host:4222")
    found = asyncio.run(_streams(here, where, tenant or [here.agent.tenant], make=make))
    if as_json:
        write_json({"streams": found})
    else:
        for name, state in found.items():
            say(f"{name:<20} {state}")
    if not all(state == "ok" for state in found.values()):
        raise typer.Exit(Exit.FAILED)


async def _streams(config: "Config", url: str, tenants: list[str], *, make: bool) -> dict[str, str]:
    from agent.access import credentials_at, tls_of
    from mesh.errors import AgentUnreachable, InvalidAccess, StreamConflict
    from mesh.line import Line
    from mesh.nats_client import LOST
    from mesh.presence.bucket import ensure_bucket
    from mesh.streams import Limits, ensure_events, ensure_triggers, missing

    try:
        async with Line.open(url, credentials_at(config, url), tls_of(config, url)) as line:
            if make:
                for tenant in tenants:
                    await ensure_triggers(line.nc, tenant, Limits())
                await ensure_events(line.nc, Limits())
                await ensure_bucket(line.nc)
            return await missing(line.nc, tenants)
    except InvalidAccess as error:
        raise Failure(str(error), Exit.USAGE) from None
    except AgentUnreachable as error:
        raise Failure(str(error), Exit.UNREACHABLE) from None
    except (StreamConflict, *LOST) as error:
        raise Failure(str(error) or "the server does not answer", Exit.FAILED) from None


def _agent(
    config: "Config", paths: list[Path], *, tenant: str, agent: str, api: str, recorder: bool, publish: list[str],
    subscribe: list[str], streams: list[str], params: dict[str, Json],
) -> "Rights":  # fmt: skip
    from agent.mesh_rights import files_of, member_of, needs_of
    from engine.definition import InvalidWorkflow
    from mesh.permissions import API, Stream, agent_rights

    folder = config.engine.workflows_dir
    try:
        files = files_of(paths or ([Path(folder)] if folder else []))
        needs = needs_of(files, tenant=tenant, agent=agent, hub=api != API, params=params)
    except InvalidWorkflow as invalid:
        raise Failure("\n".join(map(str, invalid.problems)), Exit.USAGE) from None
    except OSError as error:
        raise Failure(f"{error.filename}: {error.strerror}: name workflow files that can be read") from None
    known = {stream.name for stream in needs.streams}
    member = member_of(
        needs, tenant=tenant, agent=agent, api=api,
        publish=tuple(sorted({*(needs.publish if api == API else config.mesh.share), *publish})),
        subscribe=tuple(sorted({*needs.subscribe, *subscribe})),
        streams=(*needs.streams, *(Stream(name) for name in streams if name not in known)),
        fleet=recorder or needs.fleet,
    )  # fmt: skip
    return agent_rights(member)


def _kept(config: "Config") -> str:
    from agent.identity import kept_id

    agent = kept_id(config.data_path)
    if not agent:
        raise Failure("which agent? give --agent ID: it has not run here yet, so its id is not known")
    return agent


def in_words_of_nats(rights: "Rights") -> str:
    """A user for the server's configuration, every line with its reason."""
    lines = [
        f"# {rights.who}",
        "{",
        '  user: "…", password: "…"  # or nkey: "U…"',
        "  permissions: {",
    ]
    for key, side in (("publish", rights.publish), ("subscribe", rights.subscribe)):
        lines.append(f"    {key}: {{ allow: [")
        width = max(len(right.subject) for right in side) + 4
        lines += [f"      {msgspec.json.encode(right.subject).decode():<{width}} # {right.why}" for right in side]
        lines.append("    ] }")
    if rights.responses:
        lines.append("    allow_responses: true  # answers what it is asked")
    return "\n".join([*lines, "  }", "}"])

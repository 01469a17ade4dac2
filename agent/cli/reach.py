"""From a command to the agent that is to carry it out: which server, as whom, and what it is called there."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from agent.cli.failure import Exit, Failure
from agent.cli.options import settings
from agent.config.model import Mode
from agent.ready import read_ready

if TYPE_CHECKING:
    from agent.config import Config
    from mesh.client import ServiceClient
    from mesh.credentials import Credentials, Tls
    from mesh.line import Line

T = TypeVar("T")
A = TypeVar("A", bound=msgspec.Struct)
LOCAL_API = "$JS.API"


class Where(msgspec.Struct, frozen=True):
    """What a person said about the agent; all empty is the one of this user on this machine."""

    config: Path | None = None
    data_dir: Path | None = None
    url: str | None = None
    agent: str | None = None
    fleet: str | None = None
    """Selects agents by their labels; instead of `agent`."""
    timeout: float | None = None
    """Seconds that each agent has to answer."""


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """How to get there. Without an agent's id it is the only one at that server."""

    url: str
    credentials: "Credentials | None"
    tls: "Tls | None"
    tenant: str
    agent: str
    api: str = LOCAL_API
    """Where the presence of the agents is kept: beyond a leaf link that is the hub's JetStream."""


def ask(where: Where, verb: str, request: msgspec.Struct, answer: type[A]) -> A:
    """One request, one answer. Raises Failure."""
    return talk(where, lambda client: client.call(verb, request, answer))


def talk(where: Where, conversation: "Callable[[ServiceClient], Awaitable[T]]") -> T:
    """Several requests over one connection. Raises Failure."""

    async def whole() -> T:
        async with connected(where) as client:
            return await conversation(client)

    return asyncio.run(whole())


@asynccontextmanager
async def connected(where: Where) -> "AsyncIterator[ServiceClient]":
    """A client of the agent. What it is refused, and that nobody is there, leaves the block as Failure."""
    from agent.cli.whereabouts import explained
    from engine.control import Refused
    from mesh.client import CALL_SECONDS, ServiceClient
    from mesh.errors import AgentMissing, AgentUnreachable, InvalidAccess

    try:
        to = address(where)
        async with ServiceClient.open(
            url=to.url, credentials=to.credentials, tls=to.tls, tenant=to.tenant, agent=to.agent, api=to.api,
            seconds=where.timeout or CALL_SECONDS,
        ) as client:  # fmt: skip
            try:
                yield client
            except AgentMissing as missing:
                raise Failure(await explained(client, missing), Exit.UNREACHABLE) from None
    except Refused as refused:
        raise Failure(refused.message, exit_of(refused.code)) from None
    except InvalidAccess as error:
        raise Failure(str(error), Exit.USAGE) from None
    except AgentUnreachable as error:
        raise _nobody(error) from None


@asynccontextmanager
async def fleet_line(where: Where) -> "AsyncIterator[tuple[Line, str]]":
    """A connection to where the other agents are, and the tenant. Raises Failure when there is none."""
    from mesh.errors import AgentUnreachable, InvalidAccess
    from mesh.line import Line

    try:
        to = address(where)
        async with Line.open(to.url, to.credentials, to.tls, api=to.api) as line:
            yield line, to.tenant
    except InvalidAccess as error:
        raise Failure(str(error), Exit.USAGE) from None
    except AgentUnreachable as error:
        raise _nobody(error) from None


def exit_of(code: int) -> Exit:
    """What a refusal means to a script."""
    return Exit.USAGE if code in (400, 422) else Exit.FAILED


def _nobody(error: Exception) -> Failure:
    return Failure(f"{error}; start one with `ganglion up`, or see `ganglion doctor`", Exit.UNREACHABLE)


def address(where: Where) -> Address:
    """Server, credentials, tenant and agent. Raises Failure when there is nothing to go by, InvalidAccess."""
    from agent.access import credentials_at, tls_of

    if where.agent and where.fleet is not None:
        raise Failure("--agent names one agent, --fleet selects several: leave one of them out")
    config = settings(where.config, where.data_dir)
    if where.url or config.mesh.mode is Mode.EXTERNAL:
        ready = None if where.url else read_ready(config.data_path)
        url = where.url or config.mesh.url
        return Address(
            url=url,
            credentials=credentials_at(config, url),
            tls=tls_of(config, url),
            tenant=config.agent.tenant,
            agent=where.agent or ("" if ready is None else ready.agent),
        )
    return _embedded(where, config)


def _embedded(where: Where, config: "Config") -> Address:
    """The server of the local agent; and through it the hub, for everybody who is not that agent."""
    from agent.identity import kept_id
    from mesh.credentials import read_access

    ready = read_ready(config.data_path)
    if ready is not None and not ready.nats:
        raise Failure(
            f'the agent of {config.data_dir} (process {ready.pid}) has no NATS (mode = "off"), so commands can\'t '
            "reach it: set [mesh] mode and start it again",
            Exit.UNREACHABLE,
        )
    known = read_access(config.data_path)
    if known is None or not known.url:
        raise Failure(
            f"no agent has run on {config.data_dir}: start one with `ganglion up`, or name its --data-dir or --url",
            Exit.UNREACHABLE,
        )
    here = ready.agent if ready is not None else config.agent.id or kept_id(config.data_path)
    to = Address(
        url=known.url,
        credentials=known.credentials,
        tls=None,
        tenant=config.agent.tenant,
        agent=where.agent or ("" if ready is None else ready.agent),
    )
    if known.hub is None or not (where.fleet is not None or (where.agent and where.agent != here)):
        return to
    return msgspec.structs.replace(to, credentials=known.hub, api=known.hub_api)

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
    from mesh.client import ServiceClient
    from mesh.credentials import Credentials, Tls

T = TypeVar("T")
A = TypeVar("A", bound=msgspec.Struct)


class Where(msgspec.Struct, frozen=True):
    """What a person said about the agent; all empty is the one of this user on this machine."""

    config: Path | None = None
    data_dir: Path | None = None
    url: str | None = None
    agent: str | None = None


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """How to get there. Without an agent's id it is the only one at that server."""

    url: str
    credentials: "Credentials | None"
    tls: "Tls | None"
    tenant: str
    agent: str


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
    from engine.control import Refused
    from mesh.client import ServiceClient
    from mesh.errors import AgentUnreachable, InvalidAccess

    try:
        to = address(where)
        async with ServiceClient.open(
            url=to.url, credentials=to.credentials, tls=to.tls, tenant=to.tenant, agent=to.agent
        ) as client:
            yield client
    except Refused as refused:
        raise Failure(refused.message, Exit.USAGE if refused.code in (400, 422) else Exit.FAILED) from None
    except InvalidAccess as error:
        raise Failure(str(error), Exit.USAGE) from None
    except AgentUnreachable as error:
        raise Failure(f"{error}; start one with `ganglion up`, or see `ganglion doctor`", Exit.UNREACHABLE) from None


def address(where: Where) -> Address:
    """Server, credentials, tenant and agent. Raises Failure when there is nothing to go by, InvalidAccess."""
    from agent.access import credentials_at, tls_of
    from mesh.credentials import read_access

    config = settings(where.config, where.data_dir)
    ready = read_ready(config.data_path)
    if where.url or config.mesh.mode is Mode.EXTERNAL:
        url = where.url or config.mesh.url
        agent = where.agent or ("" if where.url or ready is None else ready.agent)
        return Address(
            url=url,
            credentials=credentials_at(config, url),
            tls=tls_of(config, url),
            tenant=config.agent.tenant,
            agent=agent,
        )
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
    agent = where.agent or ("" if ready is None else ready.agent)
    return Address(url=known.url, credentials=known.credentials, tls=None, tenant=config.agent.tenant, agent=agent)

"""From a command to the agent that is to carry it out: which server, as whom, and what it is called there."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from agent.cli.failure import Exit, Failure

if TYPE_CHECKING:
    from mesh.client import ServiceClient

T = TypeVar("T")
A = TypeVar("A", bound=msgspec.Struct)


class Where(msgspec.Struct, frozen=True):
    """What a person said about the agent; all empty is the one of this user on this machine."""

    config: Path | None = None
    data_dir: Path | None = None
    url: str | None = None
    agent: str | None = None


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
    from mesh.client import ServiceClient

    from engine.control import Refused
    from mesh.errors import AgentUnreachable, InvalidAccess

    try:
        async with ServiceClient.open(**address(where)) as client:
            yield client
    except Refused as refused:
        raise Failure(refused.message, Exit.USAGE if refused.code in (400, 422) else Exit.FAILED) from None
    except InvalidAccess as error:
        raise Failure(str(error), Exit.USAGE) from None
    except AgentUnreachable as error:
        raise Failure(f"{error}; start one with `ganglion up`, or see `ganglion doctor`", Exit.UNREACHABLE) from None


def address(where: Where) -> dict[str, object]:
    """Server, credentials, tenant and agent id. Raises Failure when there is nothing to go by."""
    raise NotImplementedError

"""The other side of the control service: what the command line speaks through."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

import msgspec
import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from engine.control import Refused
from engine.values import InvalidValue, Json, decode_json, encode_json
from mesh.credentials import Credentials, Tls
from mesh.errors import AgentUnreachable
from mesh.nats_client import LOST, AnySubjectClient, connect, retire, shown
from mesh.service import NAME, verb_subject

A = TypeVar("A", bound=msgspec.Struct)
CALL_SECONDS = 15.0
"""How long an agent may take to answer."""
DISCOVERY_SECONDS = 0.5
"""How long agents may take to say that they are there."""
MAX_ANSWER = 64 * 1024 * 1024


class _Refusal(msgspec.Struct):
    code: int
    message: str


class _Ping(msgspec.Struct):
    metadata: dict[str, str] = {}


class ServiceClient:
    """Asks one agent. Opened by `ServiceClient.open`."""

    def __init__(self, nc: Client, url: str, tenant: str, agent: str) -> None:
        self.nc = nc
        self.url = url
        self.tenant = tenant
        self.agent = agent

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        *,
        url: str,
        credentials: Credentials | None = None,
        tls: Tls | None = None,
        tenant: str = "default",
        agent: str = "",
    ) -> "AsyncIterator[ServiceClient]":
        """Connect; without an agent's id, to the only agent there. Raises AgentUnreachable, InvalidAccess."""
        who = credentials or Credentials()
        who.check()
        nc = AnySubjectClient()
        try:
            try:
                await connect(nc, [url], who, tls, name="ganglion command", on_error=_ignore)
            except LOST as error:
                raise AgentUnreachable(
                    f"no NATS server answers at {shown(url)} ({error or type(error).__name__})"
                ) from None
            client = cls(nc, shown(url), tenant, agent)
            if not agent:
                client.agent = await client._only_agent()
            yield client
        finally:
            await retire(nc)

    async def call(self, verb: str, request: msgspec.Struct, answer: type[A], *, seconds: float = CALL_SECONDS) -> A:
        """One request. Raises Refused (the agent's answer), AgentUnreachable."""
        try:
            reply = await self.nc.request(
                verb_subject(self.tenant, self.agent, verb), encode_json(request), timeout=seconds
            )
        except nats.errors.NoRespondersError:
            raise AgentUnreachable(f"the agent {self.agent} is not at {self.url}") from None
        except (nats.errors.TimeoutError, TimeoutError):
            raise AgentUnreachable(f"the agent {self.agent} did not answer {verb} within {seconds:g} s") from None
        except LOST as error:
            raise AgentUnreachable(f"the connection to {self.url} broke: {error}") from None
        try:
            if reply.headers and "Nats-Service-Error-Code" in reply.headers:
                refusal = msgspec.convert(decode_json(reply.data), _Refusal)
                raise Refused(refusal.code, refusal.message)
            return msgspec.convert(decode_json(reply.data, max_bytes=MAX_ANSWER), answer)
        except (InvalidValue, msgspec.ValidationError) as error:
            raise Refused(500, f"the agent {self.agent} answered {verb} with something else: {error}") from None

    async def messages(self, *subjects: str) -> AsyncIterator[tuple[str, Json]]:
        """What is published on these subjects from now on: (subject, decoded body). What can't be decoded is left out.

        Ends when the connection does.
        """
        queue: asyncio.Queue[Msg | None] = asyncio.Queue(maxsize=10_000)

        async def take(message: Msg) -> None:
            await queue.put(message)

        for subject in subjects:
            await self.nc.subscribe(subject, cb=take)
        await self.nc.flush()
        while self.nc.is_connected:
            try:
                async with asyncio.timeout(1.0):
                    message = await queue.get()
            except TimeoutError:
                continue
            if message is not None:
                try:
                    yield message.subject, decode_json(message.data)
                except InvalidValue:
                    continue

    async def _only_agent(self) -> str:
        """The id of the agent that is here, if there is exactly one."""
        inbox = self.nc.new_inbox()
        answers = await self.nc.subscribe(inbox)
        await self.nc.publish(f"$SRV.PING.{NAME}", reply=inbox)
        found: set[str] = set()
        try:
            async with asyncio.timeout(DISCOVERY_SECONDS):
                async for message in answers.messages:
                    ping = msgspec.convert(decode_json(message.data), _Ping)
                    if ping.metadata.get("tenant") == self.tenant and "agent" in ping.metadata:
                        found.add(ping.metadata["agent"])
        except (TimeoutError, InvalidValue, msgspec.ValidationError):
            pass
        if len(found) == 1:
            return found.pop()
        if not found:
            raise AgentUnreachable(f"no agent of tenant {self.tenant} answers at {self.url}")
        raise AgentUnreachable(
            f"several agents answer at {self.url}: say which with --agent: {', '.join(sorted(found))}"
        )


async def _ignore(error: Exception) -> None:
    """What went wrong is raised by the call that it concerns."""

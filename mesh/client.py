"""The other side of the control service: what the command line speaks through."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

import msgspec
import nats.errors
from nats.aio.msg import Msg

from engine.control import Refused
from engine.values import InvalidValue, Json, decode_json, encode_json
from mesh.credentials import Credentials, Tls
from mesh.errors import AgentMissing, AgentUnreachable, LinkBroken
from mesh.line import LOCAL_API, Line
from mesh.nats_client import AnySubjectClient
from mesh.roll_call import roll_call
from mesh.service import verb_subject

A = TypeVar("A", bound=msgspec.Struct)
CALL_SECONDS = 15.0
"""How long an agent may take to answer."""
RENEW_SECONDS = 10.0
"""How long a broken connection, and the agent behind it, may take to come back."""
RENEW_PAUSE_SECONDS = 0.1
MAX_ANSWER = 64 * 1024 * 1024


class _Refusal(msgspec.Struct):
    code: int
    message: str


class ServiceClient:
    """Asks one agent. Opened by `ServiceClient.open`; `at` asks another one over the same connection."""

    def __init__(self, line: Line, tenant: str, agent: str, seconds: float = CALL_SECONDS) -> None:
        self.line = line
        self.tenant = tenant
        self.agent = agent
        self.seconds = seconds

    @property
    def nc(self) -> AnySubjectClient:
        return self.line.nc

    @property
    def url(self) -> str:
        """Where it is connected to, without what is secret in it."""
        return self.line.url

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
        api: str = LOCAL_API,
        seconds: float = CALL_SECONDS,
    ) -> "AsyncIterator[ServiceClient]":
        """Connect; without an agent's id, to the only agent there. Raises AgentUnreachable, InvalidAccess."""
        async with Line.open(url, credentials, tls, api=api) as line:
            client = cls(line, tenant, agent, seconds)
            if not agent:
                client.agent = await client._only_agent()
            yield client

    def at(self, agent: str, *, seconds: float | None = None) -> "ServiceClient":
        """The same for another agent."""
        return ServiceClient(self.line, self.tenant, agent, self.seconds if seconds is None else seconds)

    async def call(
        self,
        verb: str,
        request: msgspec.Struct,
        answer: type[A],
        *,
        seconds: float | None = None,
        is_repeatable: bool = False,
    ) -> A:
        """One request. Raises Refused (the agent's answer), AgentMissing, LinkBroken.

        `is_repeatable`: it is asked once more when the connection breaks before the answer; only for what does the same
        when it is done twice.
        """
        try:
            return await self._ask(verb, request, answer, seconds)
        except LinkBroken:
            if not is_repeatable:
                raise
        loop = asyncio.get_running_loop()
        give_up = loop.time() + RENEW_SECONDS
        while True:
            try:
                await self.line.renew()
                return await self._ask(verb, request, answer, seconds)
            except AgentUnreachable as error:
                if loop.time() > give_up or (isinstance(error, AgentMissing) and error.is_silent):
                    raise
                await asyncio.sleep(RENEW_PAUSE_SECONDS)

    async def _ask(self, verb: str, request: msgspec.Struct, answer: type[A], seconds: float | None) -> A:
        patience = self.seconds if seconds is None else seconds
        try:
            subject = verb_subject(self.tenant, self.agent, verb)
        except ValueError as error:
            raise AgentUnreachable(str(error)) from None
        try:
            reply = await self.line.request(subject, encode_json(request), patience)
        except nats.errors.NoRespondersError:
            raise AgentMissing(f"the agent {self.agent} is not at {self.url}", self.agent, is_silent=False) from None
        except TimeoutError:
            raise AgentMissing(
                f"the agent {self.agent} did not answer {verb} within {patience:g} s", self.agent, is_silent=True
            ) from None
        return self._read(verb, reply, answer)

    def _read(self, verb: str, reply: Msg, answer: type[A]) -> A:
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
        nc = self.nc  # the line may have another one later
        queue: asyncio.Queue[Msg | None] = asyncio.Queue(maxsize=10_000)

        async def take(message: Msg) -> None:
            await queue.put(message)

        for subject in subjects:
            await nc.subscribe(subject, cb=take)
        await nc.flush()
        while nc.is_connected:
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
        found = await roll_call(self.nc, self.tenant)
        if len(found) == 1:
            return found.pop()
        if not found:
            raise AgentUnreachable(f"no agent of tenant {self.tenant} answers at {self.url}")
        raise AgentUnreachable(
            f"several agents answer at {self.url}: say which with --agent: {', '.join(sorted(found))}"
        )

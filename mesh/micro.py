"""A NATS micro service as `nats micro ls|info|stats` sees it.

    $SRV.PING|INFO|STATS[.<name>[.<id>]]     answered with JSON, whoever asks

https://github.com/nats-io/nats-architecture-and-design/blob/main/adr/ADR-32.md. Not the library's: that counts the time
and the errors of a handler that returns at once, while ours hands requests over, and begins anew with each link.
"""

import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import cached_property

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg

from engine.clock import format_time

ERROR, ERROR_CODE = "Nats-Service-Error", "Nats-Service-Error-Code"
MAX_ERROR = 200
"""Characters of an error in the statistics."""


class Endpoint:
    """One subject, and what became of its requests since the service was made."""

    def __init__(self, name: str, subject: str, about: Callable[[], Mapping[str, str]]) -> None:
        self.name = name
        self.subject = subject
        self._about = about
        self.requests = 0
        self.errors = 0
        self.last_error = ""
        self.nanoseconds = 0

    @cached_property
    def metadata(self) -> dict[str, str]:
        """Made when somebody looks: the schemas in it take a part of a start that is worth sparing."""
        return dict(self._about())

    def count(self, nanoseconds: int, error: str = "") -> None:
        """A request was answered; with an error if there is one."""
        self.requests += 1
        self.nanoseconds += nanoseconds
        if error:
            self.errors += 1
            self.last_error = error[:MAX_ERROR]


class MicroService:
    """Answers for itself on every link that it is bound to; its id and its counts stay the same."""

    def __init__(
        self, *, name: str, version: str, description: str, metadata: Mapping[str, str], queue: str
    ) -> None:  # fmt: skip
        self.name = name
        self.id = secrets.token_hex(11)
        self._identity = {"name": name, "id": self.id, "version": version, "metadata": dict(metadata)}
        self._description = description
        self._queue = queue
        self._started = format_time(time.time_ns() // 1000)
        self.endpoints: list[Endpoint] = []

    def add(self, name: str, subject: str, about: Callable[[], Mapping[str, str]]) -> Endpoint:
        """`about` gives its metadata, once somebody asks for them."""
        endpoint = Endpoint(name, subject, about)
        self.endpoints.append(endpoint)
        return endpoint

    async def bind(self, nc: Client, take: Callable[[Endpoint, Msg], Awaitable[None]]) -> None:
        """Serve over this client. `take` gets each request, one at a time for each endpoint: it must hand over.

        Raises one of LOST.
        """
        for endpoint in self.endpoints:
            await nc.subscribe(endpoint.subject, queue=self._queue, cb=_taker(take, endpoint))
        for verb, answer in (("PING", self.ping), ("INFO", self.info), ("STATS", self.stats)):
            for subject in (f"$SRV.{verb}", f"$SRV.{verb}.{self.name}", f"$SRV.{verb}.{self.name}.{self.id}"):
                await nc.subscribe(subject, cb=_answerer(answer))
        await nc.flush()

    def ping(self) -> bytes:
        return msgspec.json.encode({"type": "io.nats.micro.v1.ping_response", **self._identity})

    def info(self) -> bytes:
        return msgspec.json.encode(
            {
                "type": "io.nats.micro.v1.info_response",
                **self._identity,
                "description": self._description,
                "endpoints": [
                    {
                        "name": endpoint.name,
                        "subject": endpoint.subject,
                        "queue_group": self._queue,
                        "metadata": endpoint.metadata,
                    }
                    for endpoint in self.endpoints
                ],
            }
        )

    def stats(self) -> bytes:
        """Times are nanoseconds, from a request's arrival to its answer."""
        return msgspec.json.encode(
            {
                "type": "io.nats.micro.v1.stats_response",
                **self._identity,
                "started": self._started,
                "endpoints": [
                    {
                        "name": endpoint.name,
                        "subject": endpoint.subject,
                        "queue_group": self._queue,
                        "num_requests": endpoint.requests,
                        "num_errors": endpoint.errors,
                        "last_error": endpoint.last_error,
                        "processing_time": endpoint.nanoseconds,
                        "average_processing_time": endpoint.nanoseconds // max(1, endpoint.requests),
                        "data": None,  # of our own we have none, but readers look for it
                    }
                    for endpoint in self.endpoints
                ],
            }
        )


def _taker(take: Callable[[Endpoint, Msg], Awaitable[None]], endpoint: Endpoint) -> Callable[[Msg], Awaitable[None]]:
    async def took(request: Msg) -> None:
        await take(endpoint, request)

    return took


def _answerer(answer: Callable[[], bytes]) -> Callable[[Msg], Awaitable[None]]:
    async def answered(request: Msg) -> None:
        if request.reply:
            await request.respond(answer())

    return answered

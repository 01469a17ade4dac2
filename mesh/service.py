"""The control service: NATS micro service `ganglion`, one endpoint per verb, for `ganglion` and for `nats micro`.

    ganglion.service.<tenant>.<agent>.<verb>     request and answer are JSON; refusals are service errors
    $SRV.PING|INFO|STATS[.ganglion[.<id>]]       what every micro service answers

Callbacks of a subscription run one at a time, so each request is handed to a task of a bounded group.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping

import msgspec
import nats.errors
import nats.micro
from nats.micro.request import Request
from nats.micro.service import ServiceConfig

from engine.control import Refused, Verb
from engine.store.errors import StoreError
from engine.values import InvalidValue, decode_json, encode_json
from mesh.connection import Connection, Link

_logger = logging.getLogger("ganglion.mesh")
NAME = "ganglion"
MAX_REQUESTS = 64
"""Requests carried out at the same time; more get 503 at once."""
MAX_DESCRIPTION = 2000
"""Characters of a refusal in its header; the whole text is the answer's body."""


def verb_subject(tenant: str, agent: str, verb: str) -> str:
    """Where a verb of an agent is asked."""
    return f"ganglion.service.{tenant}.{agent}.{verb}"


class ControlService:
    """Serves verbs on every link of a connection; `run` is its service."""

    def __init__(
        self, connection: Connection, verbs: Iterable[Verb], *, tenant: str, agent: str, version: str,
        metadata: Mapping[str, str],
    ) -> None:  # fmt: skip
        self._connection = connection
        self._verbs = tuple(verbs)
        self._tenant = tenant
        self._agent = agent
        self._config = ServiceConfig(
            name=NAME,
            version=version,
            description="A workflow agent.",
            metadata={"agent": agent, "tenant": tenant, **metadata},
            queue_group=f"ganglion-{agent}",
        )
        self.ready = asyncio.Event()
        """Set once the verbs are served for the first time."""

    async def run(self) -> None:
        """Serve until cancelled, again on each new link."""
        await self._connection.serve(self._serve, name="the control service")

    async def _serve(self, link: Link) -> None:
        async with asyncio.TaskGroup() as tasks:
            desk = _Desk(tasks, link)
            service = await nats.micro.add_service(link.nc, self._config)
            for verb in self._verbs:
                await service.add_endpoint(
                    name=verb.name,
                    subject=verb_subject(self._tenant, self._agent, verb.name),
                    handler=desk.clerk(verb),
                    metadata={
                        "description": verb.description,
                        "request": _schema(verb.request),
                        "answer": _schema(verb.answer),
                    },
                )
            await link.nc.flush()
            self.ready.set()
            await link.lost.wait()


class _Desk:
    """Takes requests of one link and has them carried out side by side."""

    def __init__(self, tasks: asyncio.TaskGroup, link: Link) -> None:
        self._tasks = tasks
        self._link = link
        self._open = 0

    def clerk(self, verb: Verb) -> "_Clerk":
        return _Clerk(self, verb)

    async def take(self, verb: Verb, request: Request) -> None:
        if self._open >= MAX_REQUESTS:
            await _refuse(request, Refused(503, f"{MAX_REQUESTS} requests are under way: try again"))
            return
        self._open += 1
        self._tasks.create_task(self._carry_out(verb, request), name=f"request {verb.name}")

    async def _carry_out(self, verb: Verb, request: Request) -> None:
        try:
            answer = encode_json(await verb.handle(_decode(verb, request.data)))
            if len(answer) > self._link.nc.max_payload:
                raise Refused(413, f"the answer of {len(answer)} bytes is larger than NATS takes: ask for less")
            await request.respond(answer)
        except Refused as refused:
            await _refuse(request, refused)
        except StoreError as error:  # a damaged page, a broken disk: the message says what to do
            await _refuse(request, Refused(503, str(error)))
        except (nats.errors.Error, ConnectionError, ValueError) as error:
            _logger.debug("a request of %s went unanswered: %s", verb.name, error)
        except Exception as error:
            _logger.exception("the verb %s has a bug", verb.name)
            await _refuse(request, Refused(500, f"a bug: {type(error).__name__}; the agent's log holds the details"))
        finally:
            self._open -= 1


class _Clerk:
    """The handler of one endpoint."""

    def __init__(self, desk: _Desk, verb: Verb) -> None:
        self._desk = desk
        self._verb = verb

    async def __call__(self, request: Request) -> None:
        await self._desk.take(self._verb, request)


def _decode(verb: Verb, body: bytes) -> msgspec.Struct:
    try:
        return msgspec.convert(decode_json(body or b"{}", max_bytes=8 * 1024 * 1024), verb.request)
    except (InvalidValue, msgspec.ValidationError) as error:
        raise Refused(400, f"{verb.name}: {error}") from None


async def _refuse(request: Request, refused: Refused) -> None:
    line = " ".join(refused.message.split())[:MAX_DESCRIPTION].encode("ascii", "replace").decode()
    body = encode_json({"code": refused.code, "message": refused.message})
    try:
        await request.respond_error(str(refused.code), line, data=body)
    except (nats.errors.Error, ConnectionError, ValueError) as error:
        _logger.debug("a refusal was not delivered: %s", error)


def _schema(type: type[msgspec.Struct]) -> str:
    return msgspec.json.encode(msgspec.json.schema(type)).decode()

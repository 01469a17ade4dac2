"""The control service: NATS micro service `ganglion`, one endpoint per verb, for `ganglion` and for `nats micro`.

    ganglion.service.<tenant>.<agent>.<verb>     request and answer are JSON; refusals are service errors
    $SRV.PING|INFO|STATS[.ganglion[.<id>]]       what every micro service answers

A link may break between a request and its answer: the verb was carried out, and nobody knows. An endpoint's metadata
says whether it is `repeatable`: asked again it does no more than asked once. `start` is with an `id`, which `ganglion
trigger` makes for itself; fork, retry, resolve and replay are not.

Callbacks of a subscription run one at a time, so each request is handed to a task of a bounded group.
"""

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping
from functools import partial

import msgspec
import nats.errors
from nats.aio.msg import Msg

from engine.control import Refused, Verb
from engine.store.errors import StoreError
from engine.values import InvalidValue, decode_json, encode_json
from mesh.connection import Connection, Link
from mesh.micro import ERROR, ERROR_CODE, Endpoint, MicroService
from mesh.wire import check_verb

_logger = logging.getLogger("ganglion.mesh")
NAME = "ganglion"
SUBJECTS = "ganglion.service"
"""What the subjects of all verbs begin with."""
MAX_REQUESTS = 64
"""Requests carried out at the same time; more get 503 at once."""
MAX_DESCRIPTION = 2000
"""Characters of a refusal in its header; the whole text is the answer's body."""


def verb_subject(tenant: str, agent: str, verb: str) -> str:
    """Where a verb of an agent is asked. Raises ValueError for what is no id or no verb."""
    check_verb(tenant, agent, verb)
    return f"{SUBJECTS}.{tenant}.{agent}.{verb}"


class ControlService:
    """Serves verbs on every link of a connection; `run` is its service."""

    def __init__(
        self, connection: Connection, verbs: Iterable[Verb], *, tenant: str, agent: str, version: str,
        metadata: Mapping[str, str],
    ) -> None:  # fmt: skip
        self._connection = connection
        self._micro = MicroService(
            name=NAME,
            version=version,
            description="A workflow agent.",
            metadata={"agent": agent, "tenant": tenant, **metadata},
            queue=f"ganglion-{agent}",
        )
        self._verbs: dict[Endpoint, Verb] = {}
        for verb in verbs:
            endpoint = self._micro.add(verb.name, verb_subject(tenant, agent, verb.name), partial(_about, verb))
            self._verbs[endpoint] = verb
        self.ready = asyncio.Event()
        """Set once the verbs are served for the first time."""

    async def run(self) -> None:
        """Serve until cancelled, again on each new link."""
        await self._connection.serve(self._serve, name="the control service")

    async def _serve(self, link: Link) -> None:
        async with asyncio.TaskGroup() as tasks:
            desk = _Desk(tasks, link, self._verbs)
            await self._micro.bind(link.nc, desk.take)
            self.ready.set()
            await link.lost.wait()


class _Desk:
    """Takes requests of one link and has them carried out side by side."""

    def __init__(self, tasks: asyncio.TaskGroup, link: Link, verbs: Mapping[Endpoint, Verb]) -> None:
        self._tasks = tasks
        self._link = link
        self._verbs = verbs
        self._open = 0

    async def take(self, endpoint: Endpoint, request: Msg) -> None:
        if self._open >= MAX_REQUESTS:
            endpoint.count(0, "too many requests")
            await self._refuse(request, Refused(503, f"{MAX_REQUESTS} requests are under way: try again"))
            return
        self._open += 1
        self._tasks.create_task(self._answer(endpoint, request), name=f"request {endpoint.name}")

    async def _answer(self, endpoint: Endpoint, request: Msg) -> None:
        since = time.perf_counter_ns()
        try:
            refused = await self._carry_out(self._verbs[endpoint], request)
            endpoint.count(time.perf_counter_ns() - since, "" if refused is None else refused.message)
        finally:
            self._open -= 1

    async def _carry_out(self, verb: Verb, request: Msg) -> Refused | None:
        """Answer the request; gives the refusal if that was the answer."""
        try:
            answer = encode_json(await verb.handle(_decode(verb, request.data)))
            if len(answer) > self._link.nc.max_payload:
                raise Refused(413, f"the answer of {len(answer)} bytes is larger than NATS takes: ask for less")
            await self._respond(request, answer)
        except Refused as error:
            refused = error
        except StoreError as error:  # a damaged page, a broken disk: the message says what to do
            refused = Refused(503, str(error))
        except Exception as error:
            _logger.exception("the verb %s has a bug", verb.name)
            refused = Refused(500, f"a bug: {type(error).__name__}; the agent's log holds the details")
        else:
            return None
        await self._refuse(request, refused)
        return refused

    async def _refuse(self, request: Msg, refused: Refused) -> None:
        line = " ".join(refused.message.split())[:MAX_DESCRIPTION].encode("ascii", "replace").decode()
        body = encode_json({"code": refused.code, "message": refused.message})
        await self._respond(request, body, {ERROR: line, ERROR_CODE: str(refused.code)})

    async def _respond(self, request: Msg, body: bytes, headers: dict[str, str] | None = None) -> None:
        if not request.reply:
            return
        try:
            await self._link.nc.publish(request.reply, body, headers=headers)
        except (nats.errors.Error, ConnectionError, ValueError) as error:
            _logger.debug("an answer on %s was not delivered: %s", request.subject, error)


def _decode(verb: Verb, body: bytes) -> msgspec.Struct:
    try:
        return msgspec.convert(decode_json(body or b"{}", max_bytes=8 * 1024 * 1024), verb.request)
    except (InvalidValue, msgspec.ValidationError) as error:
        raise Refused(400, f"{verb.name}: {error}") from None


def _about(verb: Verb) -> dict[str, str]:
    return {
        "description": verb.description,
        "repeatable": "true" if verb.is_repeatable else "false",
        "request": _schema(verb.request),
        "answer": _schema(verb.answer),
    }


def _schema(type: type[msgspec.Struct]) -> str:
    return msgspec.json.encode(msgspec.json.schema(type)).decode()

"""The few requests to JetStream's management that we make, with typed answers.

As JSON of the documented API rather than through the client's dataclasses: what an existing stream says that we do not
know must survive when we update it. https://docs.nats.io/reference/reference-protocols/nats_api_reference
"""

import base64
from typing import TypeVar

import msgspec
import nats.errors

from engine.values import Json
from mesh.nats_client import AnySubjectClient

T = TypeVar("T")
API_SECONDS = 5.0
NOT_FOUND = 404
SUBJECTS_OVERLAP = 10065


class ApiError(nats.errors.Error):
    """The server refused a request. `number` is its error code, such as 10065."""

    def __init__(self, code: int, number: int, description: str) -> None:
        super().__init__(f"JetStream says: {description} ({number})")
        self.code = code
        self.number = number
        self.description = description


class State(msgspec.Struct, frozen=True):
    messages: int
    bytes: int
    first_seq: int
    last_seq: int


class StreamInfo(msgspec.Struct, frozen=True):
    config: dict[str, Json]
    created: str
    """When it was made; sequences start again with a new stream of the same name."""
    state: State


class ConsumerInfo(msgspec.Struct, frozen=True):
    name: str
    config: dict[str, Json]
    num_ack_pending: int = 0
    num_pending: int = 0


class Stored(msgspec.Struct, frozen=True):
    """A message as the stream keeps it."""

    subject: str
    seq: int
    data: str = ""
    """Base64, like `hdrs`."""
    hdrs: str = ""


class StreamNames(msgspec.Struct, frozen=True):
    streams: list[str] | None = None


class Success(msgspec.Struct, frozen=True):
    success: bool = False


class LastMessage(msgspec.Struct, frozen=True):
    message: Stored


class _Problem(msgspec.Struct, frozen=True):
    code: int
    err_code: int = 0
    description: str = ""


class _Answer(msgspec.Struct, frozen=True):
    error: _Problem | None = None


async def ask(nc: AnySubjectClient, subject: str, type: type[T], body: dict[str, Json] | None = None) -> T:
    """One request, such as STREAM.INFO.NAME. Raises ApiError, NotAllowed, nats.errors.TimeoutError,
    NoRespondersError."""
    payload = msgspec.json.encode(body) if body is not None else b""
    reply = await nc.question(f"{nc.api}.{subject}", payload, seconds=API_SECONDS)
    try:
        problem = msgspec.json.decode(reply.data, type=_Answer).error
        if problem is None:
            return msgspec.json.decode(reply.data, type=type)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:  # no server says this
        raise ApiError(0, 0, f"something else answers {subject}: {str(error)[:200]}") from None
    raise ApiError(problem.code, problem.err_code, problem.description)


async def stream_info(nc: AnySubjectClient, name: str) -> StreamInfo | None:
    """None when there is no such stream."""
    try:
        return await ask(nc, f"STREAM.INFO.{name}", StreamInfo)
    except ApiError as error:
        if error.code == NOT_FOUND:
            return None
        raise


async def streams_of(nc: AnySubjectClient, subject: str) -> list[str]:
    """Names of the streams that keep messages of this subject, which may have wildcards."""
    return (await ask(nc, "STREAM.NAMES", StreamNames, {"subject": subject})).streams or []


async def last_message(nc: AnySubjectClient, stream: str, subject: str, *, direct: bool = False) -> Stored | None:
    """The newest message of a subject, which may have wildcards.

    `direct`: where the stream allows that, it is asked for with the subject in that of the request, so that the server
    can allow this one and no others.
    """
    if direct:
        reply = await nc.question(f"{nc.api}.DIRECT.GET.{stream}.{subject}", b"", seconds=API_SECONDS)
        headers = reply.headers or {}
        if headers.get("Status") == str(NOT_FOUND):
            return None
        if not headers.get("Nats-Sequence", "").isascii() or not headers.get("Nats-Sequence", "").isdigit():
            raise ApiError(0, 0, f"{stream} answers with something else: {headers.get('Status', 'no status')}")
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return Stored(
            subject=headers.get("Nats-Subject", ""), seq=int(headers["Nats-Sequence"]),
            data=base64.b64encode(reply.data).decode(),
            hdrs=base64.b64encode(lines.encode("utf-8", "surrogateescape")).decode(),
        )  # fmt: skip
    try:
        return (await ask(nc, f"STREAM.MSG.GET.{stream}", LastMessage, {"last_by_subj": subject})).message
    except ApiError as error:
        if error.code == NOT_FOUND:
            return None
        raise


async def drop_consumer(nc: AnySubjectClient, stream: str, name: str) -> None:
    """Remove a durable consumer, if it is there. In a WorkQueue the messages that it did not acknowledge stay."""
    try:
        await ask(nc, f"CONSUMER.DELETE.{stream}.{name}", Success)
    except ApiError as error:
        if error.code != NOT_FOUND:
            raise


async def ensure_consumer(
    nc: AnySubjectClient, stream: str, config: dict[str, Json], *, new: dict[str, Json]
) -> ConsumerInfo:
    """Make a durable consumer, or change an existing one where it differs. `new` says where a new one begins."""
    name = config["durable_name"]
    try:
        known = await ask(nc, f"CONSUMER.INFO.{stream}.{name}", ConsumerInfo)
    except ApiError as error:
        if error.code != NOT_FOUND:
            raise
        wanted = {**config, **new}
    else:
        wanted = {**known.config, **config}
        if wanted == known.config:
            return known
    # With the filter in the subject the server can allow this consumer for what it filters, and for nothing else.
    only = wanted.get("filter_subject", "")
    return await ask(
        nc,
        f"CONSUMER.CREATE.{stream}.{name}{f'.{only}' if only else ''}",
        ConsumerInfo,
        {"stream_name": stream, "config": {**wanted, "name": name}},
    )

"""The bucket `ganglion_agents`: a NATS key-value bucket like any other, so that `nats kv ls ganglion_agents` works.

    key      <tenant>.<agent>           value     what the agent says of itself, as JSON (beat.py)
    stream   KV_ganglion_agents         subjects  $KV.ganglion_agents.<tenant>.<agent>

Beyond a leaf link a value is put through the hub's API, `$JS.<domain>.API.$KV…`: plain `$KV…` subjects never cross a
link between two domains, in neither direction. Time is the server's: when a value was put, and what time it is now.
"""

import base64
from datetime import datetime

import msgspec
import nats.errors
from nats.aio.msg import Msg

from engine.values import Json
from mesh.jetstream import API_SECONDS, NOT_FOUND, ApiError, ask, last_message, stream_info
from mesh.nats_client import AnySubjectClient
from mesh.presence.beat import BUCKET, Beat
from mesh.presence.reading import MAX_BYTES, read_beat

STREAM = f"KV_{BUCKET}"
PREFIX = f"$KV.{BUCKET}."
EXPECTED = "Nats-Expected-Last-Subject-Sequence"
WRONG_LAST_SEQUENCE = 10071
TOO_MANY = "413"
"""The server's answer to a request for more than 1,024 values; one before 2.11 answers 408 to any for several."""
CHUNK = 500
_CONFIG: dict[str, Json] = {
    "name": STREAM,
    "subjects": [f"{PREFIX}>"],
    "retention": "limits",
    "discard": "new",
    "storage": "file",
    "max_msgs_per_subject": 1,
    "max_msg_size": MAX_BYTES,
    "max_consumers": -1,
    "max_msgs": -1,
    "max_bytes": -1,
    "max_age": 0,
    "num_replicas": 1,
    "duplicate_window": 120_000_000_000,
    "allow_rollup_hdrs": True,
    "allow_direct": True,
    "deny_delete": True,
}


class Entry(msgspec.Struct, frozen=True):
    """A beat as the server keeps it."""

    beat: Beat
    seq: int
    """Grows with every put, whoever puts."""
    time: float
    """When it was put, by the server's clock; seconds since 1970."""


class Listing(msgspec.Struct, frozen=True):
    """What one read of the bucket gave."""

    entries: list[Entry]
    now: float
    """The server's time at the read; seconds since 1970."""
    bad: int = 0
    """Values that are no beat: skipped."""


class MovedOn(nats.errors.Error):
    """Somebody else has put a value under this key since."""


class _Problem(msgspec.Struct, frozen=True):
    code: int
    err_code: int = 0
    description: str = ""


class _PutAnswer(msgspec.Struct, frozen=True):
    seq: int = 0
    error: _Problem | None = None


class _Message(msgspec.Struct, frozen=True):
    subject: str
    seq: int
    time: str
    data: bytes = b""
    """Base64 on the wire, as msgspec decodes bytes."""


class _Last(msgspec.Struct, frozen=True):
    message: _Message


class _State(msgspec.Struct, frozen=True):
    subjects: dict[str, int] | None = None


class _Config(msgspec.Struct, frozen=True):
    allow_direct: bool = False


class _Info(msgspec.Struct, frozen=True):
    config: _Config
    state: _State
    ts: str = ""


class _Refused(nats.errors.Error):
    """The server does not give several values at once. `status` is what it says."""

    def __init__(self, status: str) -> None:
        super().__init__(f"the server answers a request for several values with {status}")
        self.status = status


def key_of(tenant: str, agent: str) -> str:
    """Where an agent says what it is."""
    return f"{tenant}.{agent}"


async def ensure_bucket(nc: AnySubjectClient, *, in_memory: bool = False) -> None:
    """Make the bucket where there is none; one that somebody made stays as it is. `in_memory`: at a server that is one
    agent's alone nobody misses it, and a beat every few seconds wears out an SD card. Raises ApiError, one of LOST.
    """
    if await stream_info(nc, STREAM) is None:
        storage = {"storage": "memory"} if in_memory else {}
        await ask(nc, f"STREAM.CREATE.{STREAM}", _Info, {**_CONFIG, **storage})


async def put(nc: AnySubjectClient, key: str, value: bytes, *, after: int | None = None) -> int:
    """Put a value; gives its sequence. `after`: only if that is still the key's newest, 0 for none at all.

    Raises MovedOn, ApiError, NoRespondersError where there is no bucket, and one of LOST.
    """
    return await _put(nc, key, value, {} if after is None else {EXPECTED: str(after)})


async def forget(nc: AnySubjectClient, key: str, *, after: int) -> None:
    """Take a key out, if this is still its newest sequence, as `nats kv purge` does. Raises as `put`."""
    await _put(nc, key, b"", {EXPECTED: str(after), "KV-Operation": "PURGE", "Nats-Rollup": "sub"})


async def _put(nc: AnySubjectClient, key: str, value: bytes, headers: dict[str, str]) -> int:
    target = f"{PREFIX}{key}" if nc.api == AnySubjectClient.api else f"{nc.api}.{PREFIX}{key}"
    reply = await nc.question(target, value, seconds=API_SECONDS, headers=headers)
    try:
        answer = msgspec.json.decode(reply.data, type=_PutAnswer)
    except msgspec.DecodeError as error:
        raise nats.errors.Error(f"{BUCKET} answers with something else: {error}") from None
    if answer.error is None:
        return answer.seq
    if answer.error.err_code == WRONG_LAST_SEQUENCE:
        raise MovedOn(f"{key} has another newest value")
    raise ApiError(answer.error.code, answer.error.err_code, answer.error.description)


async def server_time(nc: AnySubjectClient) -> float | None:
    """The time at the server that keeps the bucket, in seconds since 1970; None while there is no bucket."""
    info = await _info(nc)
    return None if info is None else seconds_of(info.ts)


async def get(nc: AnySubjectClient, key: str) -> tuple[int, Beat | None]:
    """Sequence and beat of a key's newest value: 0 where there is none, no beat where it can't be read."""
    try:  # with the key in the request's subject, so that the server can allow this one alone
        stored = await last_message(nc, STREAM, f"{PREFIX}{key}", direct=True)
    except (nats.errors.NoRespondersError, nats.errors.TimeoutError):  # somebody made the bucket without direct gets
        message = await _last(nc, f"{PREFIX}{key}")
        return (0, None) if message is None else (message.seq, read_beat(key, message.data))
    return (0, None) if stored is None else (stored.seq, read_beat(key, base64.b64decode(stored.data)))


async def listing(nc: AnySubjectClient, tenant: str) -> Listing:
    """Everything that agents of a tenant say, in one read; nothing where there is no bucket. Raises one of LOST."""
    pattern = f"{PREFIX}{tenant}.*"
    info = await _info(nc)
    if info is None:
        return Listing([], 0.0)
    try:
        if not info.config.allow_direct:  # nobody answers a direct get, and beyond a leaf link nobody says so
            raise _Refused("nothing")
        messages = await _several(nc, [pattern])
    except _Refused as refused:
        messages = await _chunks(nc, pattern, singly=refused.status != TOO_MANY)
    entries, bad = [], 0
    for message in messages:
        if not message.data:
            continue  # the marker of a deleted key
        beat = read_beat(message.subject.removeprefix(PREFIX), message.data)
        if beat is None:
            bad += 1
        else:
            entries.append(Entry(beat, message.seq, seconds_of(message.time)))
    return Listing(entries, seconds_of(info.ts), bad)


def seconds_of(text: str) -> float:
    """Seconds since 1970 of a server's time, which has nanoseconds; 0 for none. Raises ValueError."""
    return datetime.fromisoformat(text).timestamp() if text else 0.0


async def _info(nc: AnySubjectClient, pattern: str = "") -> _Info | None:
    try:
        return await ask(nc, f"STREAM.INFO.{STREAM}", _Info, {"subjects_filter": pattern} if pattern else None)
    except ApiError as error:
        if error.code == NOT_FOUND:
            return None
        raise


async def _chunks(nc: AnySubjectClient, pattern: str, *, singly: bool) -> list[_Message]:
    """The same for more than 1,024 values, or from a server that does not give several."""
    info = await _info(nc, pattern)
    subjects = sorted(info.state.subjects or ()) if info is not None else []
    if singly:
        each = [await _last(nc, subject) for subject in subjects]
        return [message for message in each if message is not None]
    return [
        message for at in range(0, len(subjects), CHUNK) for message in await _several(nc, subjects[at : at + CHUNK])
    ]


async def _last(nc: AnySubjectClient, subject: str) -> _Message | None:
    try:
        return (await ask(nc, f"STREAM.MSG.GET.{STREAM}", _Last, {"last_by_subj": subject})).message
    except ApiError as error:
        if error.code == NOT_FOUND:
            return None
        raise


async def _several(nc: AnySubjectClient, subjects: list[str]) -> list[_Message]:
    """The newest values of these subjects, by a batched direct get. Raises _Refused and one of LOST."""
    inbox = nc.new_inbox()
    answers = await nc.subscribe(inbox)
    try:
        body = msgspec.json.encode({"multi_last": subjects})
        await nc.publish(f"{nc.api}.DIRECT.GET.{STREAM}", body, reply=inbox)
        found: list[_Message] = []
        while True:
            message = await answers.next_msg(API_SECONDS)
            headers = message.headers or {}
            status = headers.get("Status", "")
            if not status:
                found.append(_direct(message, headers))
            elif status == "204" and headers.get("Nats-Num-Pending", "0") == "0":
                return found
            elif status == "404":
                return []
            else:
                raise _Refused(status)
    finally:
        await answers.unsubscribe()


def _direct(message: Msg, headers: dict[str, str]) -> _Message:
    try:
        return _Message(
            subject=headers["Nats-Subject"], seq=int(headers["Nats-Sequence"]), time=headers["Nats-Time-Stamp"],
            data=message.data,
        )  # fmt: skip
    except (KeyError, ValueError):
        raise _Refused("an answer without headers") from None

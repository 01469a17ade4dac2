"""A fact from the wire: anybody may have written it, so everything about it is looked at before it is kept.

Attributes that we do not know are left out, and unknown kinds are kept: an agent may be newer than its recorder.
"""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec
from msgspec import Meta

from engine.fleet.event import MAX_DATA, FleetEvent
from engine.values import InvalidValue, decode_json

MAX_EVENT = MAX_DATA + 16_384
"""Bytes of an event with its attributes."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_PRINTED = r"[^\x00-\x1f\x7f]*"


class Malformed(ValueError):
    """Not a fact; the message says why."""


class _Wire(msgspec.Struct, frozen=True, gc=False):
    specversion: Annotated[str, Meta(pattern=r"\A1\.0\Z")]
    id: Annotated[str, Meta(max_length=200)]
    source: Annotated[str, Meta(pattern=r"\A/ganglion/[a-z0-9][a-z0-9-]{0,62}/[a-z0-9][a-z0-9-]{0,62}\Z")]
    type: Annotated[str, Meta(pattern=r"\Aganglion(\.[a-z][a-z0-9_]*)+\Z", max_length=73)]
    time: Annotated[datetime, Meta(tz=True)]
    sequence: Annotated[str, Meta(pattern=r"\A[1-9][0-9]{0,17}\Z")]
    epoch: Annotated[str, Meta(pattern=r"\A[A-Za-z0-9_-]{1,64}\Z")]
    workflow: Annotated[str, Meta(pattern=r"\A(_|[a-z0-9][a-z0-9-]{0,63})\Z")]
    data: msgspec.Raw = msgspec.Raw(b"{}")
    subject: Annotated[str, Meta(pattern=rf"\A{_PRINTED}\Z", max_length=128)] = ""
    node: Annotated[str, Meta(pattern=rf"\A{_PRINTED}\Z", max_length=1024)] = ""
    version: Annotated[int, Meta(ge=0, le=2**31)] = 0


_decoder = msgspec.json.Decoder(_Wire)


def decode(body: bytes, tenant: str, *, subject: str = "") -> FleetEvent:
    """A fact of an agent of this tenant. Raises Malformed.

    `subject`: where it was published, with which what it says must agree: that is what an agent's permissions guard.
    """
    try:
        decode_json(body, max_bytes=MAX_EVENT)
        wire = _decoder.decode(body)
    except (InvalidValue, msgspec.ValidationError) as error:
        raise Malformed(str(error)) from None
    _, _, said, agent = wire.source.split("/")
    kind = wire.type.removeprefix("ganglion.")
    if said != tenant or (subject and subject != f"ganglion.event.{tenant}.{agent}.{wire.workflow}.{kind}"):
        raise Malformed(f"{wire.type} of {wire.source} for {wire.workflow} does not belong here")
    if wire.id != f"{agent}/{wire.epoch}/{wire.sequence}":
        raise Malformed(f"its id {wire.id} is not made of its agent, epoch and sequence")
    time = (wire.time - _EPOCH) // _MICROSECOND
    if time < 0:
        raise Malformed("it happened before 1970")
    data = bytes(wire.data)
    if not data.startswith(b"{"):
        raise Malformed("its data is not a JSON object")
    if len(data) > MAX_DATA:
        raise Malformed(f"its data of {len(data)} bytes is more than {MAX_DATA}")
    return FleetEvent(
        agent=agent, epoch=wire.epoch, seq=int(wire.sequence), time=time, kind=kind, workflow=wire.workflow,
        version=wire.version, execution=wire.subject, node=wire.node, data=data,
    )  # fmt: skip

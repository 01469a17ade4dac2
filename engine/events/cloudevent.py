"""An event on the wire: CloudEvents 1.0, structured JSON. https://github.com/cloudevents/spec/blob/v1.0.2"""

import zlib

import msgspec

from engine.clock import format_time
from engine.events.event import Event
from engine.values import Json, encode_json


class Identity(msgspec.Struct, frozen=True):
    """Who speaks: the agent, its tenant, and the random epoch of its store (new after a restore or a clone)."""

    agent: str
    tenant: str
    epoch: str

    @property
    def source(self) -> str:
        return f"/ganglion/{self.tenant}/{self.agent}"

    def event_id(self, seq: int) -> str:
        """Unique for ever; also the `Nats-Msg-Id` of a fact."""
        return f"{self.agent}/{self.epoch}/{seq}"


class CloudEvent(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The wire form. Extension attributes are lower-case letters, and strings or integers, as the standard asks."""

    specversion: str
    id: str
    """Unique for ever, together with the source. Of a fact: agent/epoch/sequence, which is also its Nats-Msg-Id."""
    source: str
    """/ganglion/<tenant>/<agent>"""
    type: str
    """ganglion.<kind>"""
    subject: str = ""
    """The execution; absent where it is about none."""
    time: str
    """When it happened, by the agent's clock; RFC 3339 UTC."""
    datacontenttype: str = ""
    sequence: str = ""
    """The fact's number within the epoch, from 1, without gaps; a live event has none."""
    epoch: str = ""
    """Of the agent's store: new after a restore or a clone. A live event has none."""
    workflow: str
    """Its name; `_` where it is about the agent itself."""
    version: int = 0
    """Of the workflow; absent where it is about none."""
    node: str = ""
    """Path of the node; absent where it is about none."""
    data: dict[str, Json] | msgspec.Raw


def cloudevent(event: Event, identity: Identity) -> bytes:
    """The bytes to publish. A live event has no sequence; its id is made of what it says, so that readers who drop what
    they have seen drop nothing else."""
    fact = event.seq > 0
    return encode_json(
        CloudEvent(
            specversion="1.0",
            id=identity.event_id(event.seq) if fact else f"{identity.agent}/live/{event.time}/{_digest(event):08x}",
            source=identity.source,
            type=f"ganglion.{event.kind.value}",
            subject=event.execution,
            time=format_time(event.time),
            datacontenttype="application/json",
            sequence=str(event.seq) if fact else "",
            epoch=identity.epoch if fact else "",
            workflow=event.workflow,
            version=event.version,
            node=event.node,
            data=event.data,
        )
    )


def _digest(event: Event) -> int:
    return zlib.crc32(encode_json([event.kind.value, event.workflow, event.execution, event.node, event.data]))

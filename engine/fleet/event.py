"""A fact of some agent of the fleet."""

import msgspec

MAX_DATA = 65_536
"""Bytes of a fact's data."""


class FleetEvent(msgspec.Struct, frozen=True, kw_only=True):
    """What was decoded from the wire, bounded. Unknown kinds are kept: an agent may be newer than its recorder."""

    agent: str
    epoch: str
    """Of the agent's store; numbers are unique within it."""
    seq: int
    """From 1, without gaps."""
    time: int
    """When it happened, by the agent's clock; microseconds since 1970."""
    kind: str
    """Such as workflow.failed."""
    workflow: str = "_"
    version: int = 0
    execution: str = ""
    node: str = ""
    data: bytes = b"{}"
    """JSON object."""


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a batch."""

    new: int = 0
    duplicates: int = 0
    """Known already, with the same content."""
    conflicts: int = 0
    """Another fact under a known number: two agents share one identity. The first one stays."""


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """Facts `first` to `last` of an agent's epoch that have not come."""

    agent: str
    epoch: str
    first: int
    last: int
    since: int = 0
    """When it was seen; microseconds."""
    tries: int = 0
    due: int = 0
    """When it is to be asked for (again); microseconds."""
    lost: str = ""
    """Why it will never close; empty while it may."""


class Track(msgspec.Struct, frozen=True, kw_only=True):
    """How far an agent's facts are known."""

    agent: str
    epoch: str
    first_seq: int
    """The oldest that was ever received."""
    last_seq: int
    """The newest that was received."""
    last_time: int
    """When that happened; microseconds."""
    received_at: int
    events: int
    """Facts received."""
    missing: int
    """Numbers in open gaps."""
    lost: int
    """Numbers in gaps that will never close."""
    conflicts: int

"""What an agent says of itself at each beat: the value of its key in the bucket `ganglion_agents`."""

from enum import StrEnum

import msgspec

BUCKET = "ganglion_agents"
"""Key-value bucket, keys `<tenant>.<agent>`; at the hub, else at the server that is there."""
MISSED_BEATS = 3
"""After so many an agent counts as lost."""


class State(StrEnum):
    """What an agent says it is doing."""

    UP = "up"
    DRAINING = "draining"
    """It takes nothing new, finishes what runs, and goes."""
    STOPPED = "stopped"
    """It has gone in an orderly way."""


class Beat(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Readers ignore fields that they do not know: agents of several versions live side by side."""

    agent: str
    tenant: str
    version: str
    state: State = State.UP
    instance: str = ""
    """Random, one for each start of the process: two instances of one agent are a cloned data directory."""
    epoch: str = ""
    """Of its store."""
    last_seq: int = 0
    """Number of its newest fact."""
    every: float = 5.0
    """Seconds until the next beat."""
    started: str = ""
    """When the process started, by the server's clock; RFC 3339. Of two with one id the later one gives way."""
    time: str = ""
    """The agent's own clock, RFC 3339: compared with the server's it tells how wrong that is."""
    labels: dict[str, str] = {}
    arch: str = ""
    """Such as x86_64 or aarch64."""
    host: str = ""
    cpus: int = 0
    load: float = 0.0
    """Share of the processors in use, 0 to 1."""
    memory_bytes: int = 0
    """Resident."""
    memory_used: float = 0.0
    """Share of the machine's memory in use, 0 to 1."""
    slots: int = 0
    """Executions that may run at the same time."""
    free_slots: int = 0
    running: int = 0
    queued: int = 0
    outbox_depth: int = 0
    """Facts that some stream has not acknowledged yet."""
    workflows: dict[str, int] = {}
    """Deployed workflow -> version; at most 500."""
    models: list[str] = []
    """Language models that are in its memory; at most 100."""
    record: bool = False
    """It keeps the fleet's events and answers for them."""

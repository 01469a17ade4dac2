"""What a running agent answers when it is asked how it is."""

from engine.control.messages import Answer, EngineStatus


class FleetStatus(Answer, frozen=True, kw_only=True):
    """How far a recorder of the fleet is."""

    recorded: int
    """Facts that it has recorded, those included that it does not keep any more."""
    agents: int
    """Agents whose facts these are."""
    missing: int
    """Facts that have not come, and may."""
    lost: int
    """Facts that will never come, or happened before they were recorded."""
    unread: int
    """Facts that waited in the stream when the newest was read."""


class Supervision(Answer, frozen=True, kw_only=True):
    """A supervisor, such as systemd, watches over the agent's process."""

    watchdog: float = 0.0
    """Seconds after which it kills an agent that gives no sign of life; 0: it waits for none."""
    fed: float | None = None
    """Seconds since the last sign of life; the next one is due after half of `watchdog`."""


class AgentStatus(Answer, frozen=True, kw_only=True):
    """The answer of the verb `status`."""

    agent: str
    tenant: str
    version: str
    pid: int
    nats: str
    """Where its NATS server is; empty if it has none."""
    mqtt: str
    connected: bool
    hub: str = ""
    """The hub behind its server; empty if it has none."""
    hub_connected: bool = False
    """The hub answers through the leaf link."""
    credentials_expire: str = ""
    """Until when the external server or the hub lets it in, RFC 3339; empty: for ever, as far as is known."""
    memory_bytes: int
    """Resident."""
    uptime: float
    """Seconds."""
    outbox_depth: int
    """Facts that NATS has not acknowledged yet."""
    engine: EngineStatus
    fleet: FleetStatus | None = None
    """Of an agent that records the fleet's events."""
    supervision: Supervision | None = None
    """Of an agent that runs as a service."""

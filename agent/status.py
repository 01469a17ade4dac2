"""What a running agent answers when it is asked how it is."""

from engine.control.messages import Answer, EngineStatus


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
    memory_bytes: int
    """Resident."""
    uptime: float
    """Seconds."""
    outbox_depth: int
    """Facts that NATS has not acknowledged yet."""
    engine: EngineStatus

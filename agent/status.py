"""How an agent is: what the engine says, and what only the process knows."""

import msgspec

from engine.control.messages import EngineStatus


class AgentStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of the verb `status`."""

    agent: str
    tenant: str
    version: str
    pid: int
    nats: str
    """Where its NATS server is; empty if it has none."""
    mqtt: str
    connected: bool
    memory_bytes: int
    """Resident."""
    uptime: float
    """Seconds."""
    outbox_depth: int
    """Facts that no stream has acknowledged yet."""
    engine: EngineStatus

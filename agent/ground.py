"""What an agent stands on, which is there before most of the agent is loaded (start.py)."""

from pathlib import Path

import msgspec

from agent.log_tail import LogTail
from agent.secret_files import SecretFiles
from agent.service.supervisor import Supervisor
from agent.stopping import Stopping
from engine.store import Store
from mesh.server import EmbeddedServer


class Ground(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent stands on, from its first moment to its last."""

    agent: str
    """Its id."""
    secrets: SecretFiles
    stop: Stopping
    supervisor: Supervisor
    tail: LogTail
    crash: Path | None
    """What a native crash of the process before left behind, if there was one."""
    store: Store
    server: EmbeddedServer | None
    """None where it has none of its own."""

"""What a running agent is asked about backups, and what it answers."""

from collections.abc import Mapping

from engine.control.messages import Answer, Request

STORE = "ganglion.db"
"""The store's file in the data directory."""
RECORDING = "fleet.db"
"""A recorder's file there, with the fleet's events."""


class MakeBackup(Request, frozen=True, kw_only=True):
    """Begin a backup of the store. Without a path: how far the newest one is."""

    path: str = ""
    """Absolute, on the agent's machine."""
    force: bool = False
    """Overwrite an older backup."""


class BackupState(Answer, frozen=True, kw_only=True):
    """How far a backup is."""

    state: str
    """none, running, done or failed."""
    path: str = ""
    doing: str = ""
    """copying or verifying, while it runs."""
    done: int = 0
    """Pages copied."""
    total: int = 0
    size: int = 0
    """Bytes, of a finished one."""
    executions: int = 0
    damaged: Mapping[str, str] = {}
    """Executions that are damaged in the store itself, and what is wrong with them."""
    left_out: str = ""
    """A file of the data directory that is not in it: fleet.db, where the agent records the fleet's events."""
    message: str = ""
    """Why it failed."""

"""The agent's name: made once from the host's, then kept."""

import os
import re
import secrets
import socket
from pathlib import Path

from agent.config.units import is_agent_id

FILE = "agent-id"


def agent_id(data_dir: Path, configured: str = "") -> str:
    """The configured id, or the kept one, made and kept at the first start. Raises ValueError for a spoilt file."""
    if configured:
        return configured
    path = data_dir / FILE
    try:
        kept = path.read_text().strip()
    except FileNotFoundError:
        return _keep(path, _made(socket.gethostname()))
    if not is_agent_id(kept):
        raise ValueError(f"{path} does not hold an agent id: mend it or remove it, or set [agent] id")
    return kept


def kept_id(data_dir: Path) -> str:
    """The id that was made for this directory, or nothing."""
    try:
        return (data_dir / FILE).read_text().strip()
    except OSError:
        return ""


def _made(host: str) -> str:
    name = re.sub(r"[^a-z0-9]+", "-", host.partition(".")[0].lower()).strip("-")[:58].rstrip("-")
    return f"{name or 'agent'}-{secrets.token_hex(2)}"


def _keep(path: Path, name: str) -> str:
    # Whole or not at all: half a name after a power cut would be another agent.
    temporary = path.with_suffix(".new")
    with temporary.open("w") as file:
        file.write(f"{name}\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    return name

"""The agent's name: made once from the host's, then kept."""

import re
import secrets
import socket
from pathlib import Path

from agent.config.units import is_agent_id
from engine.whole_file import write_whole

FILE = "agent-id"


def agent_id(data_dir: Path, configured: str = "") -> str:
    """The configured id, or the kept one, made and kept at the first start. Raises ValueError for a spoilt file."""
    if configured:
        return configured
    path = data_dir / FILE
    try:
        kept = path.read_text().strip()
    except FileNotFoundError:
        return renew_id(data_dir)
    if not is_agent_id(kept):
        raise ValueError(f"{path} does not hold an agent id: mend it or remove it, or set [agent] id")
    return kept


def renew_id(data_dir: Path, name: str = "") -> str:
    """Keep another id from now on, made from the host's name unless there is one."""
    name = name or _made(socket.gethostname())
    write_whole(data_dir / FILE, f"{name}\n".encode())
    return name


def kept_id(data_dir: Path) -> str:
    """The id that was made for this directory, or nothing."""
    try:
        return (data_dir / FILE).read_text().strip()
    except OSError:
        return ""


def _made(host: str) -> str:
    name = re.sub(r"[^a-z0-9]+", "-", host.partition(".")[0].lower()).strip("-")[:58].rstrip("-")
    return f"{name or 'agent'}-{secrets.token_hex(2)}"

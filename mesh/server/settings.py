"""What the embedded server is told: listeners, limits, and who may do what from the first start.

Two users live in the account LOCAL. `agent` may do everything. `device` is what an anonymous client on this machine is:
it may publish and subscribe as it likes, but not speak for the agent, and not touch JetStream's management. The account
has a name of its own because its streams are stored under it: a leaf link will add another account beside it.
"""

import ipaddress
import json
from pathlib import Path

import msgspec

from mesh.credentials import Credentials
from mesh.errors import ServerRefused

AGENT_USER = "agent"
DEVICE_USER = "device"

_OURS = ("ganglion.service.>", "ganglion.job.>", "ganglion.journal.>", "ganglion.event.>", "ganglion.live.>")
_STREAMS = ("GANGLION_TRIGGERS", "GANGLION_INTAKE")
DEVICE_MAY_NOT_PUBLISH = (
    *_OURS,
    "$JS.API.>",
    # An acknowledgement in the agent's name would lose a message. Both forms of the subject: with and without domain.
    *(f"$JS.ACK.{stream}.>" for stream in _STREAMS),
    *(f"$JS.ACK.*.*.{stream}.>" for stream in _STREAMS),
)
DEVICE_MAY_NOT_SUBSCRIBE = ("ganglion.service.>", "ganglion.job.>")
"""Whoever subscribes to a service with its queue group answers in its name."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All that the configuration file says. Addresses are `host:port`; port 0 takes a free one."""

    name: str
    """Stays the same for a data directory: the server names its MQTT sessions by it."""
    data_dir: Path
    """`<data_dir>/nats` belongs to the server."""
    listen: str = "127.0.0.1:4222"
    mqtt: str = ""
    """Empty: no MQTT listener."""
    device: Credentials = Credentials()
    """User and password of devices; without one, anonymous clients are let in, on this machine only."""
    sync_interval: str = "always"
    """`always`, or a duration such as `100ms`: how long acknowledged messages may stay unsynced."""
    max_file_bytes: int = 8 * 1024**3
    max_memory_bytes: int = 64 * 1024**2
    max_payload_bytes: int = 4 * 1024**2
    """Larger than a message body may be, so that one that is too large becomes a dead letter and is seen."""

    @property
    def directory(self) -> Path:
        return self.data_dir / "nats"


def split_address(address: str) -> tuple[str, int]:
    """Host and port of `host:port` or `[::1]:port`. Raises ServerRefused."""
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdigit() or int(port) > 65535:
        raise ServerRefused(f'"{address}" is not an address to listen on: expected host:port such as 127.0.0.1:4222')
    return host, int(port)


def is_loopback(host: str) -> bool:
    """This machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def check(settings: Settings) -> None:
    """Refuse what must not run: a listener that others reach needs credentials. Raises ServerRefused."""
    for key, address in (("listen", settings.listen), ("mqtt", settings.mqtt)):
        if address and not is_loopback(split_address(address)[0]) and not settings.device.password:
            raise ServerRefused(
                f"[mesh] {key} = {address} is open to other machines, but anybody could publish there: "
                "set [mesh] device = {user, password} for your devices, or listen on 127.0.0.1"
            )


def render(settings: Settings, agent: Credentials, anonymous_password: str) -> str:
    """The configuration file's text; it holds passwords. Strings are written as JSON, which the format reads."""
    device = settings.device if settings.device.password else Credentials(user=DEVICE_USER, password=anonymous_password)
    users = [
        {"user": agent.user, "password": agent.password},
        {
            "user": device.user or DEVICE_USER,
            "password": device.password,
            "permissions": {
                "publish": {"deny": list(DEVICE_MAY_NOT_PUBLISH)},
                "subscribe": {"deny": list(DEVICE_MAY_NOT_SUBSCRIBE)},
            },
        },
    ]
    lines = [
        f"server_name: {json.dumps(settings.name)}",
        f"listen: {_listen(settings.listen)}",
        "logtime: false",
        f"max_payload: {settings.max_payload_bytes}",
        "jetstream {",
        f"  store_dir: {json.dumps(str(settings.directory))}",
        f"  sync_interval: {json.dumps(settings.sync_interval)}",
        f"  max_memory_store: {settings.max_memory_bytes}",
        f"  max_file_store: {settings.max_file_bytes}",
        "}",
        "accounts {",
        f"  LOCAL {{ jetstream: enabled, users: {json.dumps(users)} }}",
        "  SYS {}",
        "}",
        "system_account: SYS",
    ]
    if settings.mqtt:
        lines.append(f"mqtt {{ listen: {_listen(settings.mqtt)} }}")
    if not settings.device.password:
        lines.append(f"no_auth_user: {DEVICE_USER}")
    return "\n".join(lines) + "\n"


def _listen(address: str) -> str:
    host, port = split_address(address)
    shown = f"[{host}]" if ":" in host else host
    return json.dumps(f"{shown}:{port or -1}")

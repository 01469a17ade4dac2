"""What the embedded server is told: listeners, limits, and who may do what from the first start.

Two users live in the account LOCAL. `agent` may do everything. `device` is what an anonymous client on this machine is:
it may publish and subscribe as it likes, but not speak for the agent, and not touch JetStream's management.

With a hub there is the account UPLINK beside it, which holds the leaf link and one user, `uplink`: the agent itself,
which serves, relays and fetches there as at any shared server. It has no JetStream, so that what is published in it is
stored at the hub alone. Nothing crosses between the two accounts but what `share` names, outwards.
"""

import ipaddress
from pathlib import Path

import msgspec

from mesh.credentials import Credentials, Tls
from mesh.errors import ServerRefused
from mesh.server.quoting import quoted
from mesh.server.remote import Remote

AGENT_USER = "agent"
DEVICE_USER = "device"
UPLINK_USER = "uplink"
SYSTEM_USER = "system"
"""Watches the leaf link, and has it made anew."""

_OURS = ("ganglion.service.>", "ganglion.job.>", "ganglion.journal.>", "ganglion.event.>", "ganglion.live.>")
INBOX = "_INBOX.ganglion.own"
"""What the inboxes of the agent and its command line begin with. Whoever could read these, or write there, would hear
what they are answered, and could answer in the place of JetStream or of an agent."""
_STREAMS = ("GANGLION_TRIGGERS", "GANGLION_INTAKE", "GANGLION_EVENTS")
DEVICE_MAY_NOT_PUBLISH = (
    *_OURS,
    "$JS.API.>",
    "$JS.*.API.>",
    "$KV.ganglion_agents.>",
    "$KV.ganglion_desired.>",
    "$KV.ganglion_reported.>",
    "$O.ganglion_artifacts.>",
    "$SYS.>",
    f"{INBOX}.>",
    # An acknowledgement in the agent's name would lose a message. Both forms of the subject: with and without domain.
    *(f"$JS.ACK.{stream}.>" for stream in _STREAMS),
    *(f"$JS.ACK.*.*.{stream}.>" for stream in _STREAMS),
)
DEVICE_MAY_NOT_SUBSCRIBE = (
    "ganglion.service.>", "ganglion.job.>", f"{INBOX}.>", "$SRV.*.ganglion", "$SRV.*.ganglion.>",
)  # fmt: skip
"""Whoever subscribes to a service with its queue group answers in its name."""
DEVICE_MAY_ANSWER = {"max": 1, "expires": "1h"}
"""What it was asked by a workflow it may answer, though nothing else goes to the agent's inboxes."""


class Hub(msgspec.Struct, frozen=True, kw_only=True):
    """The server that this one leads to."""

    url: str
    """`nats-leaf://host:7422`, or `tls://host:7422`."""
    domain: str = "hub"
    """Of the hub's JetStream."""
    credentials: Credentials = Credentials()
    tls: Tls | None = None
    share: tuple[str, ...] = ()
    """Subjects of local clients that go to the hub too."""
    reconnect: str = "1s"
    """How long nats-server waits before it tries to make the link again."""

    @property
    def api(self) -> str:
        """Where its JetStream is asked."""
        return f"$JS.{self.domain}.API"


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
    domain: str = ""
    """Of our JetStream, once there is a hub; empty for the name."""
    server_name: str = ""
    """What a hub knows the server by: of two with one name each would cut the other's link. Empty for the name."""
    hub: Hub | None = None

    @property
    def directory(self) -> Path:
        return self.data_dir / "nats"


class Keys(msgspec.Struct, frozen=True, kw_only=True):
    """The passwords of our own users; all but the agent's are made anew at each start."""

    agent: Credentials
    anonymous: str
    uplink: str
    system: str

    def __repr__(self) -> str:
        return "Keys(…)"


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


def render(settings: Settings, keys: Keys, remote: Remote | None = None) -> str:
    """The configuration file's text; it holds passwords. Strings are written as quoting.py says.

    `remote`: the way to the hub, where there is one."""
    agent = keys.agent
    device = settings.device if settings.device.password else Credentials(user=DEVICE_USER, password=keys.anonymous)
    users = [
        {"user": agent.user, "password": agent.password},
        {
            "user": device.user or DEVICE_USER,
            "password": device.password,
            "permissions": {
                "publish": {"allow": [">"], "deny": list(DEVICE_MAY_NOT_PUBLISH)},
                "subscribe": {"deny": list(DEVICE_MAY_NOT_SUBSCRIBE)},
                "allow_responses": DEVICE_MAY_ANSWER,
            },
        },
    ]
    lines = [
        f"server_name: {quoted(settings.server_name or settings.name)}",
        f"listen: {_listen(settings.listen)}",
        "logtime: false",
        f"max_payload: {settings.max_payload_bytes}",
        "jetstream {",
        f"  store_dir: {quoted(str(settings.directory))}",
        f"  sync_interval: {quoted(settings.sync_interval)}",
        f"  max_memory_store: {settings.max_memory_bytes}",
        f"  max_file_store: {settings.max_file_bytes}",
        *([f"  domain: {quoted(settings.domain or settings.name)}"] if settings.hub else ()),
        "}",
        "accounts {",
        f"  LOCAL {{ jetstream: enabled, users: {quoted(users)}{_shared_by(settings.hub)} }}",
        *([_uplink(settings.hub, keys)] if settings.hub else ()),
        f"  SYS {{ users: {quoted([{'user': SYSTEM_USER, 'password': keys.system}])} }}",
        "}",
        "system_account: SYS",
        *([remote.text] if remote else ()),
    ]
    if settings.mqtt:
        lines.append(f"mqtt {{ listen: {_listen(settings.mqtt)} }}")
    if not settings.device.password:
        lines.append(f"no_auth_user: {DEVICE_USER}")
    return "\n".join(lines) + "\n"


def _shared_by(hub: Hub | None) -> str:
    if hub is None or not hub.share:
        return ""
    return f", exports: {quoted([{'stream': subject} for subject in hub.share])}"


def _uplink(hub: Hub, keys: Keys) -> str:
    imports = [{"stream": {"account": "LOCAL", "subject": subject}} for subject in hub.share]
    users = [{"user": UPLINK_USER, "password": keys.uplink}]
    return f"  UPLINK {{ users: {quoted(users)}, imports: {quoted(imports)} }}"


def _listen(address: str) -> str:
    host, port = split_address(address)
    shown = f"[{host}]" if ":" in host else host
    return quoted(f"{shown}:{port or -1}")

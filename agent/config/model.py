"""Every key of the configuration: its meaning, its special values, its default.

The text of each key feeds config.example.toml and the error messages; a key is here if and only if something reads it.
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, field

from agent.config.models import Model
from agent.config.section import Section
from agent.config.units import Address, AgentId, Duration, Size, SyncInterval
from engine.resources.scheduling import Marks, Policy
from engine.resources.scheduling import Scheduling as Rules
from engine.subjects import check_capture


class Mode(StrEnum):
    """Where the NATS server is."""

    EMBEDDED = "embedded"
    EXTERNAL = "external"
    OFF = "off"


class Synchronous(StrEnum):
    """SQLite's own words for when a commit reaches the disk."""

    FULL = "full"
    NORMAL = "normal"


class Level(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Format(StrEnum):
    AUTO = "auto"
    HUMAN = "human"
    JSON = "json"


Percent = Annotated[int, Meta(ge=0, le=100)]


class Agent(Section, frozen=True, kw_only=True):
    """Who this agent is."""

    id: Annotated[
        AgentId,
        Meta(description="Its name in the mesh: lower-case letters, digits and hyphens, not `any`. Empty: the host "
             "name and four hex digits, made once and kept in the data directory."),
    ] = ""  # fmt: skip
    labels: Annotated[dict[str, str], Meta(description="What workflows see as `agent.labels`.")] = field(
        default_factory=dict
    )
    tenant: Annotated[AgentId, Meta(description="The namespace of all its subjects.")] = "default"


class Credentials(Section, frozen=True, kw_only=True):
    """How we prove who we are at an external server, or at the hub: one way, or none to be anonymous. Never shown.
    Files are read again when they change, without a restart."""

    user: Annotated[str, Meta(description="User name; needs a password.")] = ""
    password: Annotated[str, Meta(description="The user's password. Better: a file for `creds` or `nkey`.")] = ""
    password_file: Annotated[str, Meta(description="A file that holds the password alone.")] = ""
    token: Annotated[str, Meta(description="A token instead of user and password.")] = ""
    token_file: Annotated[str, Meta(description="A file that holds the token alone.")] = ""
    creds: Annotated[str, Meta(description="A .creds file (JWT and seed).")] = ""
    nkey: Annotated[str, Meta(description="A file with an nkey seed.")] = ""

    def __repr__(self) -> str:
        return f"Credentials({', '.join(key for key in self.__struct_fields__ if getattr(self, key)) or 'anonymous'})"


class Device(Section, frozen=True, kw_only=True):
    """User and password of devices at the embedded server, NATS and MQTT. Without them everybody on this machine is let
    in, and nobody else can be."""

    user: Annotated[str, Meta(description="User name.")] = ""
    password: Annotated[str, Meta(description="Password.")] = ""

    def __post_init__(self) -> None:
        if bool(self.user) != bool(self.password):
            raise ValueError("mesh.device: `user` and `password` go together: give both or none")

    def __repr__(self) -> str:
        return f"Device({self.user!r})"


class Tls(Section, frozen=True, kw_only=True):
    """TLS to an external server or a hub with a tls:// url. Paths of PEM files, read again when they change."""

    ca: Annotated[str, Meta(description="The authority to trust. Empty: the system's.")] = ""
    cert: Annotated[str, Meta(description="Our certificate. Empty: none.")] = ""
    key: Annotated[str, Meta(description="The certificate's private key.")] = ""
    hostname: Annotated[str, Meta(description="The name in the server's certificate, if it is not the url's.")] = ""
    handshake_first: Annotated[
        bool,
        Meta(
            description="Begin with TLS, so that nobody between can strip it; the server needs `handshake_first` too."
        ),
    ] = True

    def __post_init__(self) -> None:
        if bool(self.cert) != bool(self.key):
            raise ValueError("mesh.tls: `cert` and `key` go together: give both or none")


class Mesh(Section, frozen=True, kw_only=True):
    """How the agent is reached: its NATS server."""

    mode: Annotated[
        Mode,
        Meta(description="embedded: a NATS server of its own; external: the one at `url`; off: none. Schedules and "
             "workflows_dir work without NATS too."),
    ] = Mode.EMBEDDED  # fmt: skip
    listen: Annotated[
        Address,
        Meta(description="Address of the embedded server; port 0 takes a free one. Beyond loopback it needs `device`."),
    ] = "127.0.0.1:4222"
    mqtt: Annotated[
        Address, Meta(description="Address of its MQTT listener, such as 127.0.0.1:1883. Empty: no MQTT.")
    ] = ""
    url: Annotated[
        str,
        Meta(description="The external server: nats://host:4222, or tls://host:4222; those of a cluster with commas "
             "between them."),
    ] = ""  # fmt: skip
    hub: Annotated[
        str,
        Meta(description="The server that the embedded one leads to: nats-leaf://host:7422, or tls://host:7422, with "
             "`credentials` and `tls` for it. Empty: alone."),
    ] = ""  # fmt: skip
    hub_domain: Annotated[AgentId, Meta(description="The hub's JetStream domain: `jetstream {domain: hub}` there.")] = (
        "hub"
    )
    domain: Annotated[AgentId, Meta(description="The embedded server's own domain. Empty: the agent's id.")] = ""
    share: Annotated[
        tuple[str, ...],
        Meta(description='Subjects of local clients that go to the hub too, such as ["orders.>"]. Empty: none.'),
    ] = ()
    sync_interval: Annotated[
        SyncInterval,
        Meta(description="When the embedded server's streams reach the disk: `always` before it acknowledges, or a "
             "duration such as 1s, which may lose that much in a power cut."),
    ] = "always"  # fmt: skip
    max_file_bytes: Annotated[Size, Meta(description="Room of all streams of the embedded server on the disk.")] = (
        8 * 2**30
    )
    max_payload_bytes: Annotated[
        Size,
        Meta(description="Largest message that the embedded server takes. Larger than a body may be (1MiB), so that "
             "one that is too large becomes a dead letter and is seen."),
    ] = 4 * 2**20  # fmt: skip
    credentials: Credentials = field(default_factory=Credentials)
    device: Device = field(default_factory=Device)
    tls: Tls = field(default_factory=Tls)

    def __post_init__(self) -> None:
        if self.mode is Mode.EXTERNAL and not self.url:
            raise ValueError('mesh.url: is needed with mode = "external", such as "nats://127.0.0.1:4222"')
        if self.hub and self.mode is not Mode.EMBEDDED:
            raise ValueError('mesh.hub: is for mode = "embedded": an external server has leaf links of its own')
        if self.tls != Tls() and not (self.hub or self.url).startswith(("tls://", "wss://")):
            raise ValueError("mesh.tls: has no effect on this url: write tls://host:port in mesh.url or mesh.hub")
        if self.hub and self.tls.hostname:
            raise ValueError("mesh.tls.hostname: can't be used for a hub: write the certificate's name into mesh.hub")
        if self.share and not self.hub:
            raise ValueError("mesh.share: is for agents with a hub: set mesh.hub")
        for subject in self.share:
            try:
                check_capture(subject)
            except ValueError as error:
                raise ValueError(f"mesh.share: {error}") from None


class Scheduling(Section, frozen=True, kw_only=True):
    """How the load of the machine bounds what runs: between two marks the limit falls in a straight line from
    engine.max_executions to min_executions. In a container its own limits count too."""

    policy: Annotated[
        Policy,
        Meta(description="Which load counts: cpu, memory, balanced (the worse of both), or fixed: none, always as many "
             "as max_executions."),
    ] = Policy.FIXED  # fmt: skip
    min_executions: Annotated[int, Meta(ge=1, le=100_000, description="Executions that run even under full load.")] = 4
    cpu_low: Annotated[Percent, Meta(description="Percent of CPU up to which everything may run.")] = 60
    cpu_high: Annotated[Percent, Meta(description="Percent of CPU from which on only the least runs.")] = 90
    memory_low: Annotated[Percent, Meta(description="The same for memory in use.")] = 70
    memory_high: Annotated[Percent, Meta(description="The same for memory in use.")] = 90
    hysteresis: Annotated[
        Percent,
        Meta(description="Percent points by which the load must fall before more may run; a rise counts at once. At "
             "most the lower of the low marks."),
    ] = 5  # fmt: skip
    interval: Annotated[Duration, Meta(description="How often the load is read, 1s or more.")] = 2.0
    smoothing: Annotated[
        Duration, Meta(description="Over what time the load is averaged; 0s takes each reading as it is.")
    ] = 5.0

    def __post_init__(self) -> None:
        for name in ("cpu", "memory"):
            if getattr(self, f"{name}_low") >= getattr(self, f"{name}_high"):
                raise ValueError(f"engine.scheduling.{name}_low: must be less than {name}_high")
        if self.interval < 1:
            raise ValueError("engine.scheduling.interval: expected 1s or more")
        if self.hysteresis > min(self.cpu_low, self.memory_low):
            raise ValueError("engine.scheduling.hysteresis: must not be more than cpu_low and memory_low")

    @property
    def rules(self) -> Rules:
        """The same for the engine."""
        return Rules(
            policy=self.policy, least=self.min_executions, cpu=Marks(self.cpu_low, self.cpu_high),
            memory=Marks(self.memory_low, self.memory_high), hysteresis=self.hysteresis, interval=self.interval,
            smoothing=self.smoothing,
        )  # fmt: skip


class Engine(Section, frozen=True, kw_only=True):
    """What runs, and how much at once."""

    max_executions: Annotated[
        int, Meta(ge=1, le=100_000, description="Executions that run at the same time; more wait their turn.")
    ] = 100
    max_concurrent_nodes: Annotated[
        int, Meta(ge=1, le=10_000, description="Nodes of one execution that run at the same time.")
    ] = 64
    queue_high: Annotated[
        int,
        Meta(ge=1, le=10_000_000, description="When so many executions of workflows with `flow:` wait, nothing is "
             "fetched, and starts by hand are refused …"),
    ] = 100_000  # fmt: skip
    queue_low: Annotated[int, Meta(ge=0, le=10_000_000, description="… until there are so few.")] = 80_000
    dedupe: Annotated[
        Duration, Meta(description="How long a message's id is remembered, so that the same one starts nothing twice.")
    ] = 86_400.0
    workflows_dir: Annotated[
        str, Meta(description="A directory whose workflow files are deployed at each start. Empty: none.")
    ] = ""
    files_dir: Annotated[
        str,
        Meta(description="Where relative paths of file triggers start. Empty: `files` in the data directory, and what "
             "workflows ask for in it is made."),
    ] = ""  # fmt: skip
    watch: Annotated[
        tuple[str, ...],
        Meta(description='Other directories whose files workflows may take, such as ["/srv/inbox"]. Empty: none.'),
    ] = ()
    allow_shell: Annotated[
        bool, Meta(description="Allow the node type `shell`: whoever may deploy may then run programs here.")
    ] = False
    grace: Annotated[
        Duration,
        Meta(description="How long running nodes may go on after a stop or a cancel, before they are cut off."),
    ] = 10.0

    scheduling: Scheduling = field(default_factory=Scheduling)

    def __post_init__(self) -> None:
        if self.queue_low >= self.queue_high:
            raise ValueError(f"engine.queue_low: expected less than queue_high, which is {self.queue_high}")


class Retention(Section, frozen=True, kw_only=True):
    """Which finished executions are kept: whichever limit is reached first."""

    age: Annotated[Duration, Meta(description="Finished executions older than this go.")] = 30 * 86_400.0
    count: Annotated[int, Meta(ge=0, description="The newest so many are kept.")] = 1_000_000
    bytes: Annotated[Size, Meta(description="The oldest go while the store is larger than this.")] = 2**30


class Store(Section, frozen=True, kw_only=True):
    """The database file."""

    synchronous: Annotated[
        Synchronous,
        Meta(description="full: a commit survives power loss; normal: it survives a crash of the process, and power "
             "loss may take the newest commits back."),
    ] = Synchronous.FULL  # fmt: skip
    retention: Retention = field(default_factory=Retention)


class Outbox(Section, frozen=True, kw_only=True):
    """Facts on their way to NATS."""

    keep: Annotated[
        Duration, Meta(description="How long facts stay in the store after the stream has acknowledged them.")
    ] = 600.0
    max_bytes: Annotated[Size, Meta(description="The oldest unsent facts go when there is more than this.")] = (
        256 * 2**20
    )
    max_age: Annotated[Duration, Meta(description="Unsent facts older than this go.")] = 90 * 86_400.0


class FleetRetention(Section, frozen=True, kw_only=True):
    """Which events of the fleet are kept: whichever limit is reached first. Their hourly figures stay ten times as
    long."""

    age: Annotated[Duration, Meta(description="Events older than this go.")] = 30 * 86_400.0
    count: Annotated[int, Meta(ge=0, description="The newest so many are kept.")] = 5_000_000
    bytes: Annotated[Size, Meta(description="The oldest go while the file is larger than this.")] = 4 * 2**30


class Fleet(Section, frozen=True, kw_only=True):
    """The picture of all agents on this server, or behind this hub."""

    record: Annotated[
        bool, Meta(description="Keep the events of the whole fleet here, in a file of their own, and answer for it.")
    ] = False
    heartbeat: Annotated[
        Duration,
        Meta(description="How often the agent says that it is there, 1s or more; after three it counts as lost."),
    ] = 5.0
    retention: FleetRetention = field(default_factory=FleetRetention)

    def __post_init__(self) -> None:
        if self.heartbeat < 1:
            raise ValueError("fleet.heartbeat: expected 1s or more")


class Log(Section, frozen=True, kw_only=True):
    """Log lines on standard error."""

    level: Annotated[Level, Meta(description="debug, info, warning or error.")] = Level.INFO
    format: Annotated[Format, Meta(description="human, json, or auto: human on a terminal, else json.")] = Format.AUTO


class Update(Section, frozen=True, kw_only=True):
    """Other executables in the place of this one: `ganglion self-update`."""

    keys: Annotated[
        tuple[str, ...],
        Meta(description="Public keys whose signature is trusted beside the project's own, as they stand in a .pub "
             "file. Empty: none."),
    ] = ()  # fmt: skip


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All settings of an agent."""

    data_dir: Annotated[
        str,
        Meta(description="Where everything is kept; one agent per directory, on a local disk. Empty: $STATE_DIRECTORY "
             "of a systemd service, /var/lib/ganglion for root if it is there, else ganglion in $XDG_DATA_HOME or "
             "~/.local/share."),
    ] = ""  # fmt: skip
    agent: Agent = field(default_factory=Agent)
    mesh: Mesh = field(default_factory=Mesh)
    engine: Engine = field(default_factory=Engine)
    store: Store = field(default_factory=Store)
    outbox: Outbox = field(default_factory=Outbox)
    models: dict[str, Model] = field(default_factory=dict)
    fleet: Fleet = field(default_factory=Fleet)
    log: Log = field(default_factory=Log)
    update: Update = field(default_factory=Update)

    def __post_init__(self) -> None:
        for name, model in self.models.items():
            try:
                model.check()
            except ValueError as error:
                raise ValueError(f"models.{name}.{error}") from None

    @property
    def data_path(self) -> Path:
        """The data directory; `load_config` has filled it in."""
        return Path(self.data_dir)


PATHS = frozenset(
    {
        "data_dir",
        "engine.files_dir",
        "engine.watch",
        "engine.workflows_dir",
        "mesh.credentials.creds",
        "mesh.credentials.nkey",
        "mesh.credentials.password_file",
        "mesh.credentials.token_file",
        "mesh.tls.ca",
        "mesh.tls.cert",
        "mesh.tls.key",
        "models.*.file",
    }
)
"""Keys that hold a path: relative ones start at the file they stand in, or at the working directory. `*` is
any name."""

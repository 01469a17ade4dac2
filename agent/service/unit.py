"""The systemd unit. What is closed and what is left open, with the reason, stands in the unit itself."""

import math
from pathlib import Path

import msgspec

MARK = "# Written by `ganglion install`, which replaces it; settings of your own go into a drop-in: systemctl edit "
"""The first line of what we have written: only that is replaced and removed."""
NAME = "ganglion"
"""Of the unit, and of its directories in /var/lib, /var/cache and /etc."""
WATCHDOG_SECONDS = 60
START_SECONDS = 300
"""After a power cut the database and the streams of NATS are read first; a slow flash card takes its time."""
SERVER_SECONDS = 20
"""What the NATS server and the database need after the grace time of the nodes."""
STEPS_SINCE = 254
"""The version of systemd that lets the pauses between restarts grow."""


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """What is installed."""

    program: Path
    config: Path
    data_dir: Path
    user: str = ""
    """Who it runs as. Empty: somebody whom systemd makes up (DynamicUser), or for `is_own` who installs it."""
    is_own: bool = False
    """A unit of a user's own systemd."""
    grace: float = 10.0
    """`[engine] grace`."""
    memory: str = "75%"
    """MemoryMax: bytes with K, M or G, a share of what the machine has, or infinity."""
    systemd: int = 0
    """The version that is to read the unit; 0: any."""


def systemd_unit(service: Service) -> str:
    """The text of the unit file."""
    sections = [
        f"{MARK}{'--user ' if service.is_own else ''}{NAME}",
        _unit(service),
        _process(service),
        _OWN if service.is_own else _directories(service),
        _limits(service),
        _SANDBOX if service.is_own else f"{_SYSTEM_SANDBOX}\n{_SANDBOX}",
        f"[Install]\nWantedBy={'default' if service.is_own else 'multi-user'}.target",
    ]
    return "\n\n".join(section.strip() for section in sections) + "\n"


def stop_seconds(grace: float) -> int:
    """TimeoutStopSec: nodes have their grace time, then everything is closed in order."""
    return math.ceil(grace) + SERVER_SECONDS


def _unit(service: Service) -> str:
    after = "" if service.is_own else "After=network.target time-sync.target\n"
    return f"""\
[Unit]
Description=Ganglion workflow agent
{after}# It is never given up: a device in the field has nobody who would start it.
StartLimitIntervalSec=0
"""


def _process(service: Service) -> str:
    steps = "RestartSteps=8\nRestartMaxDelaySec=5min\n" if service.systemd >= STEPS_SINCE else ""
    return f"""\
[Service]
Type=notify
NotifyAccess=main
ExecStart={service.program} up --config {service.config} --data-dir {service.data_dir}
# Fed only while the event loop turns and the database takes commits; a full disk is waited out. The stacks of a hung
# agent are in its data directory (crash-*.log); SIGQUIT, so that they are not taken for those of a native crash.
WatchdogSec={WATCHDOG_SECONDS}
WatchdogSignal=SIGQUIT
TimeoutStartSec={START_SECONDS}
# SIGTERM is for the agent alone: it stops its NATS server itself, last. Nodes have [engine] grace to end.
KillSignal=SIGTERM
KillMode=mixed
TimeoutStopSec={stop_seconds(service.grace)}
Restart=on-failure
RestartSec=5
{steps}# A configuration that is not valid does not become valid by another start.
RestartPreventExitStatus=2
"""


_OWN = """\
UMask=0077
# A secret for workflows, `secrets.PAGER_URL`, from a file that only you can read:
#LoadCredential=PAGER_URL:%h/.config/ganglion/secrets/PAGER_URL
"""


def _directories(service: Service) -> str:
    who = f"User={service.user}\nGroup={service.user}" if service.user else "DynamicUser=yes"
    return f"""\
{who}
StateDirectory={NAME}
StateDirectoryMode=0700
CacheDirectory={NAME}
CacheDirectoryMode=0700
UMask=0077
# A secret for workflows, `secrets.PAGER_URL`, from a file that only root can read:
#LoadCredential=PAGER_URL:/etc/{NAME}/secrets/PAGER_URL
# Another place that workflows may read and write ([engine] watch, files_dir):
#ReadWritePaths=/srv/inbox
"""


def _limits(service: Service) -> str:
    return f"""\
MemoryMax={service.memory}
LimitNOFILE=65536
LimitCORE=0
TasksMax=512
"""


_SANDBOX = """\
NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictNamespaces=yes
# Netlink: nats-server asks for the addresses of this machine.
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged
SystemCallErrorNumber=EPERM
# Not here, with a reason: MemoryDenyWriteExecute (WebAssembly would be interpreted, many times slower), ProcSubset=pid
# (the load of the machine is read from /proc).
"""

_SYSTEM_SANDBOX = """\
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
# A graphics card for models, or a serial port: PrivateDevices=no, and DeviceAllow= what is needed.
PrivateDevices=yes
PrivateUsers=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
RemoveIPC=yes
"""

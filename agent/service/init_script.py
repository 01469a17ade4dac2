"""Init scripts for machines without systemd. There is no watchdog there; what has ended is started again by openrc and
procd, and the next start goes on from the checkpoints.

A user who is there for this alone has no home, so the executable unpacks into the data directory.
"""

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

from agent.service.unit import NAME, Service, stop_seconds

MARK = "# Written by `ganglion install`, which replaces it."
SCRIPT = Path("/etc/init.d") / NAME
PID_FILE = Path("/var/run") / f"{NAME}.pid"
"""Of the sysv script alone."""


class Init(StrEnum):
    """What starts a machine's services."""

    SYSTEMD = "systemd"
    OPENRC = "openrc"
    PROCD = "procd"
    SYSV = "sysv"


def init_script(service: Service, init: Init) -> str:
    """The text of /etc/init.d/<name>."""
    return SCRIPTS[init](service)


def is_ours(script: Path) -> bool:
    """Whether we have written this script. Raises OSError."""
    return MARK in script.read_text().splitlines()[:2]


def _openrc(service: Service) -> str:
    return f"""\
#!/sbin/openrc-run
{MARK}
description="Ganglion workflow agent"
supervisor=supervise-daemon
command={service.program}
command_args="up --config {service.config} --data-dir {service.data_dir}"
command_user={service.user}
export {_unpacked(service)}
respawn_delay=5
respawn_max=0
retry="TERM/{stop_seconds(service.grace)}/KILL/5"
umask=077

depend() {{
    after net localmount
}}

start_pre() {{
    checkpath -d -m 0700 -o {service.user} {service.data_dir}
}}
"""


def _procd(service: Service) -> str:
    return f"""\
#!/bin/sh /etc/rc.common
{MARK}
USE_PROCD=1
START=95
STOP=05

start_service() {{
    mkdir -p -m 0700 {service.data_dir}
    chown {service.user} {service.data_dir}
    procd_open_instance
    procd_set_param command {service.program} up --config {service.config} --data-dir {service.data_dir}
    procd_set_param user {service.user}
    procd_set_param env {_unpacked(service)}
    procd_set_param respawn 3600 5 0
    procd_set_param term_timeout {stop_seconds(service.grace)}
    procd_set_param limits nofile="65536 65536"
    procd_set_param no_new_privs 1
    procd_set_param stderr 1
    procd_close_instance
}}
"""


def _sysv(service: Service) -> str:
    return f"""\
#!/bin/sh
{MARK}
### BEGIN INIT INFO
# Provides:          {NAME}
# Required-Start:    $local_fs $network
# Required-Stop:     $local_fs $network
# Default-Start:     2 3 4 5
# Default-Stop:      0 1 6
# Short-Description: Ganglion workflow agent
### END INIT INFO
PROGRAM={service.program}
DATA={service.data_dir}
RUN_AS={service.user}
PID={PID_FILE}
LOG=/var/log/{NAME}.log
export {_unpacked(service)}

runs() {{
    pid=$(cat "$PID" 2>/dev/null) && grep -qs "$DATA" "/proc/$pid/cmdline"
}}

start() {{
    runs && return 0
    mkdir -p "$DATA" && chown "$RUN_AS" "$DATA" && chmod 0700 "$DATA" || return 1
    touch "$LOG" && chown "$RUN_AS" "$LOG" && chmod 0600 "$LOG" || return 1
    start-stop-daemon -S -b -m -p "$PID" -c "$RUN_AS" -x /bin/sh -- -c \\
        "umask 077; exec $PROGRAM up --config {service.config} --data-dir $DATA >>$LOG 2>&1"
}}

stop() {{
    runs || return 0
    kill -TERM "$pid" 2>/dev/null
    left={stop_seconds(service.grace)}
    while runs && [ "$left" -gt 0 ]; do
        sleep 1
        left=$((left - 1))
    done
    runs && kill -KILL "$pid" 2>/dev/null
    rm -f "$PID"
}}

case "$1" in
    start) start ;;
    stop) stop ;;
    restart) stop; start ;;
    status) runs && echo running || {{ echo stopped; exit 3; }} ;;
    *) echo "usage: $0 start|stop|restart|status"; exit 2 ;;
esac
"""


def _unpacked(service: Service) -> str:
    return f"GANGLION_CACHE_DIR={service.data_dir}/executable"


SCRIPTS: dict[Init, Callable[[Service], str]] = {Init.OPENRC: _openrc, Init.PROCD: _procd, Init.SYSV: _sysv}

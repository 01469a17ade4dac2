"""The list of all commands, and what becomes of their errors."""

import errno
import os
import signal
import sys
from importlib import import_module
from typing import Annotated

import typer

from agent.cli.failure import Exit, Failure
from agent.cli.screen import clean
from agent.cli.typos import Commands
from agent.config import InvalidConfig

COMMANDS = {
    "Write workflows": {
        "init": "starter.init",
        "new": "new.new",
        "check": "check.check",
        "schema": "check.schema",
        "nodes": "nodes.nodes",
    },
    "Run": {
        "up": "up.up",
        "drain": "drain.drain",
        "demo": "demo.demo",
        "run": "run.run",
        "deploy": "definitions.deploy",
        "undeploy": "definitions.undeploy",
        "trigger": "acts.trigger",
    },
    "Look": {
        "ps": "executions.ps",
        "show": "executions.show",
        "checkpoints": "executions.checkpoints",
        "events": "events.events",
        "log": "log.log",
        "top": "top.top",
        "stats": "stats.stats",
        "workflows": "definitions.workflows",
        "state": "state.state",
        "status": "doctor.status",
        "doctor": "doctor.doctor",
        "licences": "licences.licences",
        "fleet": "fleet.group",
        "models": "models.group.group",
        "mesh": "mesh.group",
    },
    "Act on executions": {
        "pause": "acts.pause",
        "resume": "acts.resume",
        "cancel": "acts.cancel",
        "retry": "acts.retry",
        "fork": "acts.fork",
        "resolve": "acts.resolve",
        "forms": "forms.forms",
        "submit": "forms.submit",
        "deadletters": "deadletters.group",
    },
    "Run as a service": {
        "install": "service.install",
        "uninstall": "service.uninstall",
    },
    "Keep the store": {
        "backup": "backup.backup",
        "restore": "backup.restore",
        "self-update": "self_update.self_update",
        "identity": "identity.group",
    },
}
"""Where each command is, below agent.cli, by the heading that the help has it under; groups come last there."""


def program(first: str = "") -> typer.Typer:
    """The command line. If `first` names a command, with that one alone: to import the others, and to make their
    options of their signatures, is a third of the time that an agent needs until it is ready."""
    app = typer.Typer(
        cls=Commands,
        name="ganglion",
        help="An autonomous workflow agent in one process: durable workflows, started by NATS messages.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
    )
    app.callback(invoke_without_command=True)(_everything)
    alone = any(first in commands for commands in COMMANDS.values())
    for heading, commands in COMMANDS.items():
        for name, place in commands.items():
            if alone and name != first:
                continue
            module, _, attribute = place.rpartition(".")
            found = getattr(import_module(f"agent.cli.{module}"), attribute)
            if isinstance(found, typer.Typer):
                app.add_typer(found, name=name, rich_help_panel=heading)
            else:
                app.command(name, rich_help_panel=heading)(found)
    return app


def _everything(
    version: Annotated[
        bool,
        typer.Option("--version", "-V", help="Print the version, and what is inside; --json behind it.", is_eager=True),
    ] = False,
) -> None:
    if version:
        from agent.build import version_text

        sys.stdout.write(version_text())
        raise typer.Exit


def run() -> int:
    """Carry out the command line; gives the exit code. Errors go to standard error, in one form."""
    sys.argv[1:] = _meant(sys.argv[1:])
    try:
        program(*sys.argv[1:2])()
    except SystemExit as end:
        if isinstance(end.code, str):  # PyInstaller's, for a module that it wants to load from what was deleted
            return _give_up(
                f"the files of this program were deleted while it ran: start it again\n{end.code}", Exit.FAILED
            )
        return int(end.code or 0)
    except InvalidConfig as invalid:
        return _give_up("\n".join(invalid.problems), Exit.USAGE)
    except Failure as failure:
        return _give_up(str(failure), failure.code)
    except BrokenPipeError:  # `ganglion events -f | head`: nobody reads any more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.FAILED
    except OSError as error:  # a disk that is full, a folder that can't be written: the machine's, and no fault of ours
        about = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
        remedy = ": let it open more (ulimit -n)" if error.errno == errno.EMFILE else ""
        return _give_up(f"{about}{error.strerror or error}{remedy}", Exit.FAILED)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return Exit.OK


def _meant(arguments: list[str]) -> list[str]:
    """`ganglion help ps` and `ganglion version` as the options that they stand for."""
    match arguments:
        case ["help", *words]:
            return [*(word for word in words if not word.startswith("-")), "--help"]
        case ["version", *rest]:
            return ["--version", *rest]
    return arguments


def _give_up(message: str, code: Exit) -> int:
    sys.stderr.write("".join(f"ganglion: {clean(line)}{os.linesep}" for line in message.splitlines()))
    return code

"""The list of all commands, and what becomes of their errors."""

import os
import signal
import sys
from typing import Annotated

import typer

from agent.cli import (
    acts,
    backup,
    check,
    deadletters,
    definitions,
    demo,
    doctor,
    drain,
    events,
    executions,
    fleet,
    forms,
    identity,
    log,
    mesh,
    new,
    nodes,
    self_update,
    service,
    starter,
    state,
    stats,
    top,
    up,
)
from agent.cli import run as run_file
from agent.cli.failure import Exit, Failure
from agent.cli.models import group as models
from agent.cli.screen import clean
from agent.config import InvalidConfig

BUILD, RUN, LOOK, MEND = "Write workflows", "Run", "Look", "Act on executions"
KEEP = "Keep the store"
SERVE = "Run as a service"

app = typer.Typer(
    name="ganglion",
    help="An autonomous workflow agent in one process: durable workflows, started by NATS messages.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)


@app.callback(invoke_without_command=True)
def everything(
    version: Annotated[bool, typer.Option("--version", "-V", help="Print the version.", is_eager=True)] = False,
) -> None:
    if version:
        from agent.build import version_text

        sys.stdout.write(version_text())
        raise typer.Exit


app.command(rich_help_panel=BUILD)(starter.init)
app.command(rich_help_panel=BUILD)(new.new)
app.command(rich_help_panel=BUILD)(check.check)
app.command(rich_help_panel=BUILD)(check.schema)
app.command(rich_help_panel=BUILD)(nodes.nodes)
app.command(rich_help_panel=RUN)(up.up)
app.command(rich_help_panel=RUN)(drain.drain)
app.command(rich_help_panel=RUN)(demo.demo)
app.command(rich_help_panel=RUN)(run_file.run)
app.command(rich_help_panel=RUN)(definitions.deploy)
app.command(rich_help_panel=RUN)(definitions.undeploy)
app.command(rich_help_panel=RUN)(acts.trigger)
app.command(rich_help_panel=LOOK)(executions.ps)
app.command(rich_help_panel=LOOK)(executions.show)
app.command(rich_help_panel=LOOK)(executions.checkpoints)
app.command(rich_help_panel=LOOK)(events.events)
app.command(rich_help_panel=LOOK)(log.log)
app.command(rich_help_panel=LOOK)(top.top)
app.add_typer(fleet.group, name="fleet", rich_help_panel=LOOK)
app.command(rich_help_panel=LOOK)(stats.stats)
app.command(rich_help_panel=LOOK)(definitions.workflows)
app.command(rich_help_panel=LOOK)(state.state)
app.add_typer(models.group, name="models", rich_help_panel=LOOK)
app.command(rich_help_panel=LOOK)(doctor.status)
app.command(rich_help_panel=LOOK)(doctor.doctor)
app.command(rich_help_panel=MEND)(acts.pause)
app.command(rich_help_panel=MEND)(acts.resume)
app.command(rich_help_panel=MEND)(acts.cancel)
app.command(rich_help_panel=MEND)(acts.retry)
app.command(rich_help_panel=MEND)(acts.fork)
app.command(rich_help_panel=MEND)(acts.resolve)
app.command(rich_help_panel=MEND)(forms.forms)
app.command(rich_help_panel=MEND)(forms.submit)
app.add_typer(deadletters.group, name="deadletters", rich_help_panel=MEND)
app.add_typer(mesh.group, name="mesh", rich_help_panel=LOOK)
app.command(rich_help_panel=SERVE)(service.install)
app.command(rich_help_panel=SERVE)(service.uninstall)
app.command(rich_help_panel=KEEP)(backup.backup)
app.command(rich_help_panel=KEEP)(backup.restore)
app.add_typer(identity.group, name="identity", rich_help_panel=KEEP)
app.command(rich_help_panel=KEEP)(self_update.self_update)


def run() -> int:
    """Carry out the command line; gives the exit code. Errors go to standard error, in one form."""
    try:
        app()
    except SystemExit as end:
        return int(end.code or 0)
    except InvalidConfig as invalid:
        return _give_up("\n".join(invalid.problems), Exit.USAGE)
    except Failure as failure:
        return _give_up(str(failure), failure.code)
    except BrokenPipeError:  # `ganglion events -f | head`: nobody reads any more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.FAILED
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return Exit.OK


def _give_up(message: str, code: Exit) -> int:
    sys.stderr.write("".join(f"ganglion: {clean(line)}{os.linesep}" for line in message.splitlines()))
    return code

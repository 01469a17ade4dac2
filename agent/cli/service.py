"""`install`, `uninstall`: the agent as a service of the machine."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.failure import Exit, Failure
from agent.cli.options import AsJson
from agent.cli.screen import remark, say, write_json
from agent.config import load_config
from agent.lock import holder
from agent.service.init_script import Init, init_script
from agent.service.installation import NotOurs, detected, directories, kept_places, within
from agent.service.installation import install as plan_install
from agent.service.installation import uninstall as plan_uninstall
from agent.service.program import NoProgram, check_program, running_program
from agent.service.step import StepFailed
from agent.service.unit import NAME, Service, systemd_unit

if TYPE_CHECKING:
    from agent.service.step import Plan

MEMORY = re.compile(r"[1-9][0-9]*(K|M|G|T|%)?|infinity")
USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
Own = Annotated[bool, typer.Option("--user", help="Of your own, without root: for systemd --user.")]
Root = Annotated[
    Path, typer.Option("--root", help="The root of an image to change, where no commands are run.", show_default=False,
                       exists=True, file_okay=False, resolve_path=True)
]  # fmt: skip
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only tell what would be done.")]


def install(
    own: Own = False,
    init: Annotated[
        Init | None, typer.Option("--init", help="What starts services here.", show_default="what runs here")
    ] = None,
    program: Annotated[
        Path | None, typer.Option("--program", help="The executable.", show_default="this one", dir_okay=False)
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", help="Its configuration file, written if it is not there.", dir_okay=False,
                     show_default="/etc/ganglion/config.toml"),
    ] = None,
    run_as: Annotated[
        str, typer.Option("--as", help="A user who is there.", show_default="one that systemd makes up")
    ] = "",
    memory: Annotated[str, typer.Option("--memory", help="The most memory: 512M, 2G, 75%, infinity.")] = "75%",
    start: Annotated[bool, typer.Option("--start/--no-start", help="Start it now, too.")] = True,
    root: Root = Path("/"),
    print_it: Annotated[bool, typer.Option("--print", help="Print the unit or script; change nothing.")] = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Make a service of the agent: started at boot, watched over, started again, closed in on all sides.

    Done twice it changes nothing; a newer executable brings its unit up to date.
    """
    if not MEMORY.fullmatch(memory):
        raise Failure(f"--memory {memory}: expected a size such as 512M or 2G, a share such as 75%, or infinity")
    if run_as and not USER.fullmatch(run_as):
        raise Failure(f"--as {run_as}: expected the name of a user")
    init = init or (Init.SYSTEMD if own else detected(root))
    if own and (init is not Init.SYSTEMD or run_as):
        raise Failure("--user is for systemd alone, and runs as you: leave out --init and --as")
    at, data = directories(user=own)
    at = config.absolute() if config else at
    is_here = root == Path("/") and not print_it
    service = Service(
        program=_program(program, own=own, is_here=is_here), config=at, data_dir=data, is_own=own, memory=memory,
        user=run_as or ("" if init is Init.SYSTEMD else NAME), grace=_grace(within(root, at), data),
        systemd=_version() if init is Init.SYSTEMD and is_here else 0,
    )  # fmt: skip
    if print_it:
        sys.stdout.write(systemd_unit(service) if init is Init.SYSTEMD else init_script(service, init))
        return
    from agent.config.example import example

    try:
        plan = plan_install(service, init, settings=example(), root=root, start=start)
    except NotOurs as error:
        raise Failure(str(error), Exit.FAILED) from None
    if init is not Init.SYSTEMD and not _is_there(service.user):
        remark(
            f"there is no user {service.user} here; make it first: adduser -S -D -H {service.user}, or name one: --as"
        )
    _carry_out(plan, dry_run=dry_run, as_json=as_json)


def uninstall(
    own: Own = False,
    purge: Annotated[bool, typer.Option("--purge", help="Remove data, cache and configuration, too.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before data are removed.")] = False,
    root: Root = Path("/"),
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Stop the service and take it away. Data and configuration stay, unless --purge."""
    try:
        plan = plan_uninstall(user=own, root=root, purge=purge)
    except NotOurs as error:
        raise Failure(str(error), Exit.FAILED) from None
    kept = kept_places(user=own, root=root)
    if purge and kept and not dry_run:
        is_service = any("--now" in str(step) or str(step).endswith(" stop") for step in plan.steps)
        running = None if is_service else next(filter(None, map(holder, kept)), None)
        if running is not None:
            raise Failure(f"the process {running} uses the data: stop it first", Exit.FAILED)
        if not yes:
            _ask(kept)
    _carry_out(plan, dry_run=dry_run, as_json=as_json)


def _ask(kept: list[Path]) -> None:
    listed = ", ".join(map(str, kept))
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise Failure(f"--purge removes {listed}, with all that was ever done: say --yes")
    if not typer.confirm(f"Remove {listed}, with all that was ever done?", err=True):
        raise Failure("nothing was changed", Exit.FAILED)


def _program(given: Path | None, *, own: bool, is_here: bool) -> Path:
    try:
        path = given.absolute() if given else running_program()
        if is_here:  # in an image it is where it will be: nothing can be said of it
            check_program(path, for_system=not own)
    except NoProgram as error:
        raise Failure(str(error)) from None
    return path


def _grace(config: Path, data: Path) -> float:
    """`[engine] grace` of the file that is there. An invalid one is told now and not at each start."""
    if not config.exists():
        return load_config(Path(os.devnull), environ={"HOME": "/"})[0].engine.grace
    settings, _ = load_config(config, environ={"HOME": "/"})
    if "data_dir" in config.read_text() and settings.data_path not in (data, Path("/.local/share/ganglion")):
        remark(f"{config} names data_dir {settings.data_path}: the service keeps its data in {data}")
    return settings.engine.grace


def _version() -> int:
    """Of systemd; 0 if nobody knows."""
    try:
        answer = subprocess.run(["systemctl", "--version"], capture_output=True, text=True, timeout=10)  # noqa: S607
    except (OSError, subprocess.SubprocessError):
        return 0
    found = re.match(r"systemd (\d+)", answer.stdout)
    return int(found[1]) if found else 0


def _is_there(user: str) -> bool:
    import pwd

    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True


def _carry_out(plan: "Plan", *, dry_run: bool, as_json: bool) -> None:
    """Tell the steps, take them, tell what is to be known."""
    if as_json:
        write_json({"steps": [str(step) for step in plan.steps], "notes": plan.notes, "done": not dry_run})
    else:
        for step in plan.steps:
            say(f"would {step}" if dry_run else str(step))
    if not dry_run:
        sys.stdout.flush()
        try:
            plan.take()
        except StepFailed as error:
            raise Failure(str(error), Exit.FAILED) from None
    if not as_json:
        for note in plan.notes:
            remark(note)

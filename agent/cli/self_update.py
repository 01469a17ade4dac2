"""`self-update`: another executable in the place of this one."""

import signal
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.addressed import read_seconds
from agent.cli.failure import Exit, Failure
from agent.cli.options import AsJson, ConfigFile, DataDir, settings
from agent.cli.screen import remark, say, write_json

if TYPE_CHECKING:
    from agent.update.outcome import Outcome


def self_update(
    file: Annotated[
        Path | None, typer.Argument(help="The new executable; FILE.sig is beside it.", show_default=False)
    ] = None,
    verify: Annotated[bool, typer.Option("--verify", help="Only say whether the file may take the place.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an update that was interrupted.")] = False,
    back: Annotated[
        bool,
        typer.Option("--back", help="Give an update up that has not come to its end, and go back; work that only the "
                     "new version can read is put aside."),
    ] = False,
    allow_downgrade: Annotated[bool, typer.Option("--allow-downgrade", help="Take an older version too.")] = False,
    within: Annotated[
        float,
        typer.Option("--within", help="How long the new agent may take to be ready and answer.", parser=read_seconds,
                     metavar="DURATION"),
    ] = "1m",  # type: ignore[assignment]
    steady: Annotated[
        float,
        typer.Option("--steady", help="How long it must then stay so.", parser=read_seconds, metavar="DURATION"),
    ] = "5s",  # type: ignore[assignment]
    respawn: Annotated[
        float,
        typer.Option("--respawn", help="How long whoever has started the agent may take to start it again; then it is "
                     "started.", parser=read_seconds, metavar="DURATION"),
    ] = "6s",  # type: ignore[assignment]
    about: Annotated[bool, typer.Option("--about", hidden=True)] = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Put a signed executable in the place of this one, and go back if its agent is not well.

    The file must be signed by a trusted key, for this machine's architecture, not be older, and run. Then the agent of
    the data directory stops as after SIGTERM, the file takes the place of this executable, which stays beside it as
    NAME.old, and the agent is started again with the same arguments and environment: through systemd if it is a
    service. If it is not ready or does not answer in time, or ends again, the old executable and the old databases take
    their places again.

    Exit code 0: updated. 1: refused, or it went back.
    """
    from agent.lock import DirectoryUnusable
    from agent.update.candidate import Unfit
    from agent.update.directory import knowledge
    from agent.update.journal import UpdateUnderWay
    from agent.update.keys import InvalidKey, trusted_keys
    from agent.update.program import executable
    from agent.update.signature import Untrusted
    from agent.update.unit import NotOurs
    from agent.update.update import Update

    if about:
        write_json(knowledge())
        return
    if (file is None) is not (resume or back) or (resume and back) or (verify and file is None):
        raise Failure("name one FILE that is to take the place, or say --resume or --back")
    found = settings(config, data_dir)
    try:
        if file is not None and not file.is_file():
            raise Failure(f"{file} is no file: name the new executable")
        keys = trusted_keys(found.update.keys)
        if file is not None and verify:
            _verify(file, keys, allow_downgrade=allow_downgrade, as_json=as_json)
            return
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the line of whoever updates a far machine may break
        update = Update(
            executable(), grace=found.engine.grace, within=within, steady=steady, respawn=respawn,
            told=lambda line: None if as_json else remark(line),
        )  # fmt: skip
        if file is None:
            outcome = update.resume(back=back)
        else:
            outcome = update.begin(file, data_dir=found.data_path, keys=keys, allow_downgrade=allow_downgrade)
    except InvalidKey as error:
        raise Failure(str(error)) from None
    except (Unfit, Untrusted, UpdateUnderWay, NotOurs, DirectoryUnusable) as error:
        raise Failure(str(error), Exit.FAILED) from None
    except (OSError, sqlite3.Error) as error:
        raise Failure(f"the update can't go on: {error}; then: ganglion self-update --resume", Exit.FAILED) from None
    except KeyboardInterrupt:
        remark("interrupted; go on with: ganglion self-update --resume")
        raise
    _show(outcome, as_json=as_json)


def _verify(file: Path, keys: dict[str, bytes], *, allow_downgrade: bool, as_json: bool) -> None:
    from agent import __version__
    from agent.update.candidate import check_fit, check_machine
    from agent.update.signature import check, read_signature

    check_machine(file)
    said = read_signature(file)
    check(file, said, keys)
    check_fit(file, said, current=__version__, allow_downgrade=allow_downgrade)
    if as_json:
        write_json(said)
    else:
        say(f"{said.name} is {said.version} for {said.arch}, signed by {said.key}")


def _show(outcome: "Outcome", *, as_json: bool) -> None:
    from agent.update.outcome import End

    if as_json:
        write_json(outcome)
    elif outcome.end is End.UPDATED:
        state = "its agent runs and answers" if outcome.started else "no agent ran here: the next start is of it"
        say(f"this is ganglion {outcome.version} now; {state}")
    elif outcome.end is End.NOTHING:
        say("no update was under way")
    if outcome.end is End.WENT_BACK:
        state = ", whose agent runs again" if outcome.started else ""
        raise Failure(f"went back to {outcome.version}{state}: {outcome.why}", Exit.FAILED)
    if outcome.end is End.STUCK:
        raise Failure(outcome.why, Exit.FAILED)

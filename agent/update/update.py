"""The order of an update, forwards and back, so that a kill at any moment leaves an executable that starts."""

import os
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from enum import StrEnum
from pathlib import Path

import msgspec

from agent import __version__
from agent.lock import holder, locked
from agent.update import snapshot
from agent.update.candidate import Unfit, check_fit, check_machine, check_place, check_runs, knowledge_of
from agent.update.directory import DATABASES, FORMAT, Knowledge, would_migrate
from agent.update.hold import clear, held
from agent.update.journal import Journal, Phase, UpdateUnderWay, only_one, read_journal, remove_journal, write_journal
from agent.update.program import outward
from agent.update.running import (
    Command,
    NotOurs,
    end,
    illness,
    outputs,
    seen,
    start,
    started_by_another,
    stop,
    wait_for_late_ones,
)
from agent.update.signature import Signature, check, checksum, read_signature
from agent.update.switch import make_runnable, stage, staged, switch, switch_back
from engine.crash import crash_point
from engine.store.errors import StoreError, StoreInUse

BACK_SECONDS = 60.0
"""The least that the old version may take to be well again."""
LATE_SECONDS = 10.0
"""How long an agent may take from its start to the lock of its data directory."""
TRIES = 5
"""To have the data directory alone, where a supervisor starts the agent again at once."""


class End(StrEnum):
    """How an update came out."""

    UPDATED = "updated"
    WENT_BACK = "went back"
    STUCK = "stuck"
    """The new version is not well, and the old one could not take over: `why` says what to do."""
    NOTHING = "nothing"
    """There was nothing to go on with."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an update."""

    end: End
    version: str
    """That has the place now."""
    started: bool = False
    """Its agent was started, and is well if `end` is updated."""
    why: str = ""


class Update:
    """Replaces one executable, and the agent of one data directory that runs it."""

    def __init__(
        self, executable: Path, *, grace: float, within: float, steady: float, told: Callable[[str], None],
        respawn: float,
    ) -> None:  # fmt: skip
        """`grace`: the agent's, for its stop. `within`: how long the new one may take to be well; `steady`: how long it
        must stay so; `respawn`: how long somebody else may take to start it. Seconds. `told` is given each step as a
        line for people."""
        self._executable = executable
        self._grace = grace
        self._within = within
        self._steady = steady
        self._respawn = respawn
        self._told = told
        self._hold = ExitStack()
        """While it is open, agents that start are on trial."""
        self._command: Command | None = None
        """How the agent was started, with its environment, which is nowhere written down."""
        self._streams: tuple[int, int] | None = None
        self._child: subprocess.Popen[bytes] | None = None
        """The agent that was started last."""

    def begin(self, file: Path, *, data_dir: Path, keys: dict[str, bytes], allow_downgrade: bool = False) -> Outcome:
        """Verify a file, put it in the place, and see whether it is well.

        Raises Untrusted and Unfit (the file), NotOurs (the agent), UpdateUnderWay, OSError; before the agent was asked
        to stop nothing is changed by any of them.
        """
        executable = self._executable
        with only_one(executable), self._hold:
            if read_journal(executable) is not None:
                raise UpdateUnderWay(f"an update of {executable} was interrupted: ganglion self-update --resume")
            check_place(executable)
            check_machine(file)
            try:
                said = self._verified(file, keys, allow_downgrade=allow_downgrade)
                with self._agent(data_dir):
                    journal = self._planned(said, data_dir)
                    write_journal(journal)
                    crash_point("update-planned")
                    return self._forward(journal)
            except BaseException:
                if read_journal(executable) is None:
                    staged(executable).unlink(missing_ok=True)
                raise

    def resume(self, *, back: bool = False) -> Outcome:
        """Go on with an update that was interrupted; with `back` go back, though work is put aside with it. Raises as
        `begin` does."""
        with only_one(self._executable), self._hold:
            journal = read_journal(self._executable)
            if journal is None:
                staged(self._executable).unlink(missing_ok=True)
                return Outcome(end=End.NOTHING, version=__version__)
            self._executable = Path(journal.executable)
            clear(Path(journal.data_dir))
            environ = outward(os.environ)
            self._command = Command(
                arguments=journal.arguments, directory=journal.directory, unit=journal.unit, environ=environ
            )
            with self._agent(Path(journal.data_dir), resumed=True):
                if back:
                    return self._back(journal, "it was asked for", put_aside=True)
                match journal.phase:
                    case Phase.SWITCH:
                        return self._forward(journal)
                    case Phase.TRIAL:
                        return self._trial(journal)
                    case Phase.BACK:
                        return self._back(journal, journal.why, put_aside=journal.put_aside)

    @contextmanager
    def _agent(self, data_dir: Path, *, resumed: bool = False) -> Iterator[None]:
        """Remember how the agent that runs was started, if one does."""
        pid = holder(data_dir)
        if pid is None:
            yield
            return
        try:
            self._command = seen(pid, self._executable)
        except NotOurs:
            if not resumed:
                raise
        with outputs(pid) as self._streams:
            yield

    def _verified(self, file: Path, keys: dict[str, bytes], *, allow_downgrade: bool) -> Signature:
        """The staged copy is checked and run, not the file, which others may be able to change meanwhile."""
        said = read_signature(file)
        if said.name != file.name:
            raise Unfit(f"{file.name} was signed as {said.name}: give it that name again")
        check_fit(said, current=__version__, allow_downgrade=allow_downgrade)
        try:
            new = stage(file, self._executable)
        except OSError as error:
            where = self._executable.parent
            raise Unfit(f"{file} can't be copied to {where} ({error.strerror or error}): nothing was changed") from None
        check(new, said, keys)
        if said.sha256 == checksum(self._executable):
            raise Unfit(f"{said.name} is what {self._executable} is already: there is nothing to do")
        make_runnable(self._executable)
        check_runs(staged(self._executable), said)
        self._told(f"{said.name} is {said.version} for {said.arch}, signed by {said.key}, and runs")
        return said

    def _planned(self, said: Signature, data_dir: Path) -> Journal:
        snapshot.discard(data_dir)  # of an update long ago
        journal = Journal(
            phase=Phase.SWITCH, executable=str(self._executable), version=said.version, before=__version__,
            sha256=said.sha256, data_dir=str(data_dir),
        )  # fmt: skip
        if self._command is None:
            return journal
        known = knowledge_of(staged(self._executable), self._command.asking)
        databases = _migrated(data_dir, known)
        if known is not None and known.format > FORMAT:
            raise Unfit(
                f"{said.name} writes data directories of format {known.format}, from which {__version__} can't go "
                f"back: stop the agent, copy {data_dir}, then run this again and start it yourself"
            )
        if (missing := snapshot.missing_bytes(data_dir, databases)) > 0:
            raise Unfit(
                f"{said.name} migrates {', '.join(databases)}: {missing / 1e6:.0f} MB more must be free in {data_dir} "
                "for a copy to go back to"
            )
        return msgspec.structs.replace(
            journal, arguments=self._command.arguments, directory=self._command.directory, unit=self._command.unit,
            databases=tuple(databases),
        )  # fmt: skip

    def _forward(self, journal: Journal) -> Outcome:
        """Stop, copy, switch, try. Each step finds out for itself whether it was done before."""
        new = staged(self._executable)
        if new.exists() and checksum(new) != journal.sha256:
            remove_journal(self._executable)
            new.unlink()
            raise Unfit(f"{new} is not what was verified: begin again with the file")
        if journal.arguments:
            self._told("the agent stops")
        failing = "its databases can't be copied"
        try:
            with self._alone(journal):
                crash_point("update-stopped")
                if journal.databases and new.exists():
                    snapshot.take(Path(journal.data_dir), journal.databases)
                crash_point("update-copied")
                failing = "it can't take the place"
                switch(self._executable)
                crash_point("update-switched")
        except (OSError, sqlite3.Error, StoreError) as error:
            return self._back(journal, f"{failing}: {error}")
        return self._trial(self._noted(msgspec.structs.replace(journal, phase=Phase.TRIAL)))

    def _trial(self, journal: Journal) -> Outcome:
        """Start the new one, and see. What it would migrate is held back until it is well: a return loses nothing."""
        if not journal.arguments:
            return self._finish(journal)
        data_dir = Path(journal.data_dir)
        if snapshot.is_there(data_dir):
            with suppress(OSError):  # a full disk: then work that was done keeps from a return
                self._hold.enter_context(held(data_dir))
        crash_point("update-on-trial")
        try:
            why = self._started(journal, journal.version, on_trial=True)
            if not why and self._command is not None and snapshot.is_there(data_dir):
                self._hold.close()
                crash_point("update-let-go")
                why = self._illness(data_dir, self._command, journal.version)
        except NotOurs as error:
            why = str(error)
        crash_point("update-tried")
        return self._back(journal, why) if why else self._finish(journal)

    def _finish(self, journal: Journal) -> Outcome:
        remove_journal(self._executable)  # first: without the copies there would be no way back to go on with
        snapshot.discard(Path(journal.data_dir))
        return Outcome(end=End.UPDATED, version=journal.version, started=bool(journal.arguments))

    def _back(self, journal: Journal, why: str, *, put_aside: bool = False) -> Outcome:
        """The old version takes its place again. Without `put_aside` not, if the new one has done work that the old one
        can't read: it would be lost to it."""
        self._told(f"{journal.version} is not well: {why}")
        try:
            with self._alone(journal, is_sick=True):
                work = "" if put_aside else snapshot.work_since(Path(journal.data_dir))
                if not work:
                    self._put_back(msgspec.structs.replace(journal, phase=Phase.BACK, why=why, put_aside=put_aside))
        except (OSError, sqlite3.Error, StoreError) as error:
            return Outcome(
                end=End.STUCK, version=journal.version,
                why=f"{why}; and {journal.before} can't be put back ({error}): mend that, then ganglion self-update "
                "--resume",
            )  # fmt: skip
        self._hold.close()
        if work:
            sick = self._started(journal, journal.version)
            self._leave()
            return Outcome(
                end=End.STUCK, version=journal.version, started=not sick,
                why=f"{why}; but it has done work that {journal.before} can't read ({work}), so it was started again. "
                "Try it once more: ganglion self-update --resume. Or go back, and find that work in "
                f"{journal.data_dir}/ganglion.db.replaced-*: ganglion self-update --back",
            )  # fmt: skip
        self._within = max(self._within, BACK_SECONDS)  # it was well before, and nobody else is left
        sick = self._started(journal, journal.before) if journal.arguments else ""
        if sick:
            self._leave()
            return Outcome(
                end=End.STUCK, version=journal.before,
                why=f"{why}; and {journal.before}, which is back, is not well either: {sick}. See its log, then "
                "ganglion self-update --resume",
            )  # fmt: skip
        remove_journal(self._executable)
        return Outcome(end=End.WENT_BACK, version=journal.before, started=bool(journal.arguments), why=why)

    def _put_back(self, journal: Journal) -> None:
        """Databases and executable are the old ones again."""
        self._noted(journal)
        crash_point("update-going-back")
        snapshot.put_back(Path(journal.data_dir))
        crash_point("update-put-back")
        if checksum(self._executable) == journal.sha256:
            switch_back(self._executable)
        staged(self._executable).unlink(missing_ok=True)
        crash_point("update-went-back")

    def _noted(self, journal: Journal) -> Journal:
        """Where it is now. On a full disk it says where it was before: from there the steps are done again."""
        with suppress(OSError):
            write_journal(journal)
        return journal

    @contextmanager
    def _alone(self, journal: Journal, *, is_sick: bool = False) -> Iterator[None]:
        """No agent runs on the data directory, nor starts within the block, whoever starts one. Raises NotOurs,
        StoreError, OSError."""
        data_dir, since = Path(journal.data_dir), time.time() - LATE_SECONDS
        with ExitStack() as stack:
            for left in reversed(range(TRIES if journal.arguments else 0)):
                stop(data_dir, unit=journal.unit, grace=self._grace, is_sick=is_sick)
                if self._child is not None:
                    end(self._child)
                try:
                    stack.enter_context(locked(data_dir))
                    break
                except StoreInUse:
                    if not left:
                        raise
            yield
            if self._command is not None and journal.arguments and not journal.unit:
                wait_for_late_ones(self._command, since=since)

    def _started(self, journal: Journal, version: str, *, on_trial: bool = False) -> str:
        """Start the agent of the executable as it is now, unless it runs, and see whether it is well; why not."""
        if self._command is None:
            raise NotOurs("how the agent was started is not known")
        data_dir, self._child = Path(journal.data_dir), None
        if journal.unit or not started_by_another(data_dir, self._command, within=self._respawn):
            self._told(f"{version} starts")
            self._child = start(self._executable, self._command, self._streams)
            crash_point("update-started")
        return self._illness(data_dir, self._command, version, on_trial=on_trial)

    def _illness(self, data_dir: Path, command: Command, version: str, *, on_trial: bool = False) -> str:
        """Why the agent that was started is not well; empty: it is, and goes on without us."""
        why = illness(
            self._executable, data_dir, self._child, command, version=version, within=self._within,
            steady=self._steady, on_trial=on_trial,
        )  # fmt: skip
        if not why and not on_trial:
            self._leave()
        return why

    def _leave(self) -> None:
        """The agent goes on without us: nobody waits for its end."""
        if self._child is not None and self._child.poll() is None:
            self._child.returncode = 0


def _migrated(data_dir: Path, known: Knowledge | None) -> list[str]:
    """The databases that are to be copied: a program that does not tell may change them all."""
    return list(DATABASES) if known is None else would_migrate(data_dir, known.migrations)

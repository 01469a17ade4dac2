"""The order of an update, forwards and back, so that a kill at any moment leaves an executable that starts."""

import sqlite3
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

import msgspec

from agent import __version__
from agent.update import snapshot
from agent.update.candidate import Unfit, check_machine, check_place
from agent.update.hold import clear, held
from agent.update.journal import Journal, Phase, UpdateUnderWay, only_one, read_journal, remove_journal, write_journal
from agent.update.outcome import End, Outcome
from agent.update.patient import Patient
from agent.update.plan import planned, verified
from agent.update.signature import checksum
from agent.update.switch import staged, switch, switch_back
from agent.update.unit import NotOurs
from engine.crash import crash_point
from engine.store.errors import StoreError

BACK_SECONDS = 60.0
"""The least that the old version may take to be well again."""


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
        self._agent = Patient(grace=grace, within=within, steady=steady, respawn=respawn, told=told)
        self._told = told
        self._hold = ExitStack()
        """While it is open, agents that start are on trial."""

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
                said = verified(file, executable, keys, allow_downgrade=allow_downgrade)
                self._told(f"{said.name} is {said.version} for {said.arch}, signed by {said.key}, and runs")
                with self._agent.seen(data_dir, executable):
                    journal = planned(said, executable, data_dir, self._agent.command)
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
            self._agent.remember(journal)
            with self._agent.seen(Path(journal.data_dir), self._executable, resumed=True):
                if back:
                    return self._back(journal, "it was asked for", put_aside=True)
                match journal.phase:
                    case Phase.SWITCH:
                        return self._forward(journal)
                    case Phase.TRIAL:
                        return self._trial(journal)
                    case Phase.BACK:
                        return self._back(journal, journal.why, put_aside=journal.put_aside)

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
            with self._agent.gone(journal):
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
                self._hold.enter_context(held(data_dir, self._agent.longest_trial))
        crash_point("update-on-trial")
        try:
            why = self._agent.started(journal, journal.version, on_trial=True)
            if not why and snapshot.is_there(data_dir):
                self._hold.close()
                crash_point("update-let-go")
                why = self._agent.illness(journal, journal.version)
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
            with self._agent.gone(journal, is_sick=True):
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
            sick = self._agent.started(journal, journal.version)
            self._agent.leave()
            return Outcome(
                end=End.STUCK, version=journal.version, started=not sick,
                why=f"{why}; but it has done work that {journal.before} can't read ({work}), so it was started again. "
                "Try it once more: ganglion self-update --resume. Or go back, and find that work in "
                f"{journal.data_dir}/ganglion.db.replaced-*: ganglion self-update --back",
            )  # fmt: skip
        # It was well before, and nobody else is left: it is given time.
        sick = self._agent.started(journal, journal.before, at_least=BACK_SECONDS) if journal.arguments else ""
        if sick:
            self._agent.leave()
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

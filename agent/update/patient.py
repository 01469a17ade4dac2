"""The agent of one update: known before it stops, stopped, started again as another one, and left well or not."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from agent.lock import holder, locked
from agent.update.command import Command, outputs, seen
from agent.update.illness import illness
from agent.update.journal import Journal
from agent.update.program import outward
from agent.update.running import end, start, started_by_another, stop, wait_for_late_ones
from agent.update.unit import NotOurs
from engine.crash import crash_point
from engine.store.errors import StoreInUse

LATE_SECONDS = 10.0
"""How long an agent may take from its start to the lock of its data directory."""
SPARE_SECONDS = 120.0
"""More than answers and a stop take."""
TRIES = 5
"""To have the data directory alone, where a supervisor starts the agent again at once."""


class Patient:
    """What an update knows of the agent that it operates on, in the order of the methods."""

    def __init__(
        self, *, grace: float, within: float, steady: float, respawn: float, told: Callable[[str], None]
    ) -> None:
        """As of Update."""
        self._grace = grace
        self._within = within
        self._steady = steady
        self._respawn = respawn
        self._told = told
        self.command: Command | None = None
        """How it was started, with its environment, which is nowhere written down. None: none ran."""
        self._streams: tuple[int, int] | None = None
        self._child: subprocess.Popen[bytes] | None = None
        """The agent that was started last."""

    @property
    def longest_trial(self) -> float:
        """In seconds. An agent on trial that has heard nothing for so long goes on by itself: we have come to hang."""
        return self._respawn + self._within + 2 * self._steady + SPARE_SECONDS

    def remember(self, journal: Journal) -> None:
        """How it was started before the update was interrupted; the environment is ours, since nobody has kept its."""
        self.command = Command(
            arguments=journal.arguments, directory=journal.directory, unit=journal.unit, environ=outward(os.environ)
        )

    @contextmanager
    def seen(self, data_dir: Path, executable: Path, *, resumed: bool = False) -> Iterator[None]:
        """If an agent runs, how it was started; its log is open within the block. Raises NotOurs, if not `resumed`."""
        pid = holder(data_dir)
        if pid is None:
            yield
            return
        try:
            self.command = seen(pid, executable)
        except NotOurs:
            if not resumed:
                raise
        with outputs(pid) as self._streams:
            yield

    @contextmanager
    def gone(self, journal: Journal, *, is_sick: bool = False) -> Iterator[None]:
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
            if self.command is not None and journal.arguments and not journal.unit:
                wait_for_late_ones(self.command, since=since)

    def started(self, journal: Journal, version: str, *, on_trial: bool = False, at_least: float = 0.0) -> str:
        """Start the agent of the executable as it is now, unless it runs, and see whether it is well; why not.
        `at_least`: the seconds that it is given, however few the others get. Raises NotOurs."""
        if self.command is None:
            raise NotOurs("how the agent was started is not known")
        self._child = None
        if journal.unit or not started_by_another(Path(journal.data_dir), self.command, within=self._respawn):
            self._told(f"{version} starts")
            self._child = start(Path(journal.executable), self.command, self._streams)
            crash_point("update-started")
        return self.illness(journal, version, on_trial=on_trial, at_least=at_least)

    def illness(self, journal: Journal, version: str, *, on_trial: bool = False, at_least: float = 0.0) -> str:
        """Why the agent that was started is not well; empty: it is, and goes on without us, unless it is on trial.
        Raises NotOurs."""
        if self.command is None:
            raise NotOurs("how the agent was started is not known")
        why = illness(
            Path(journal.executable), Path(journal.data_dir), self._child, self.command, version=version,
            within=max(self._within, at_least), steady=self._steady, on_trial=on_trial,
        )  # fmt: skip
        if not why and not on_trial:
            self.leave()
        return why

    def leave(self) -> None:
        """The agent goes on without us: nobody waits for its end."""
        if self._child is not None and self._child.poll() is None:
            self._child.returncode = 0

"""Makes backups of the store that this agent works on, one at a time, on a thread of its own."""

import asyncio
import logging
from pathlib import Path

from agent.backups import RECORDING, BackupState, MakeBackup
from engine.control import Refused, Verb
from engine.signal import Signal
from engine.store import Store
from engine.store.backup import Backup, BackupRefused, Progress, back_up, check_target

BREATH_SECONDS = 0.005
"""Between two steps of the verification: executions go first."""
_log = logging.getLogger("ganglion.agent")


def done(made: Backup, store: Path) -> BackupState:
    """What is told of a finished backup."""
    recording = store.with_name(RECORDING)
    return BackupState(
        state="done", path=made.path, size=made.size, executions=made.executions, damaged=made.damaged,
        left_out=str(recording) if recording.exists() else "",
    )  # fmt: skip


class BackupDesk:
    """Answers the verb `backup`; `run` is its service."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._wanted: MakeBackup | None = None
        self._signal = Signal()
        self._progress = Progress("copying")
        self._last = BackupState(state="none")
        self._stopping = False

    @property
    def verb(self) -> Verb:
        return Verb(
            name="backup",
            description="Begin a backup of the store, or tell how far it is.",
            request=MakeBackup,
            answer=BackupState,
            handle=self._handle,
        )

    async def run(self) -> None:
        """Make what is asked for, until cancelled; a copy under way is given up then."""
        while True:
            await self._signal.wait()
            if (wanted := self._wanted) is not None:
                self._last = await self._make(wanted)
                self._wanted = None

    async def _handle(self, request: MakeBackup) -> BackupState:
        if not request.path:
            return self._state()
        if self._wanted is not None:
            raise Refused(409, f"a backup to {self._wanted.path} is under way: wait for it")
        target = Path(request.path)
        if not target.is_absolute():
            raise Refused(400, f"{target} is no absolute path: the agent's directory is not yours")
        try:
            check_target(self._store.path, target, force=request.force)
        except (BackupRefused, OSError) as error:
            raise Refused(409, str(error)) from None
        self._wanted, self._progress = request, Progress("copying")
        self._signal.set()
        return self._state()

    def _state(self) -> BackupState:
        if self._wanted is None:
            return self._last
        at = self._progress
        return BackupState(state="running", path=self._wanted.path, doing=at.doing, done=at.done, total=at.total)

    async def _make(self, wanted: MakeBackup) -> BackupState:
        work = asyncio.get_running_loop().run_in_executor(None, self._copy, wanted)
        try:
            made = await asyncio.shield(work)
        except asyncio.CancelledError:
            self._stopping = True
            await asyncio.wait({work})
            raise
        except BackupRefused as refused:
            _log.error("no backup was made: %s", refused)
            return BackupState(state="failed", path=wanted.path, message=str(refused))
        _log.info("backup made", extra={"fields": {"path": made.path, "bytes": made.size}})
        return done(made, self._store.path)

    def _copy(self, wanted: MakeBackup) -> Backup:
        def told(progress: Progress) -> None:
            self._progress = progress
            if self._stopping:
                raise BackupRefused("the agent stops; make the backup again")

        return back_up(
            self._store.path, Path(wanted.path), force=wanted.force, told=told, breath=BREATH_SECONDS
        )  # fmt: skip

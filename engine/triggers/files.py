"""Files start executions: each once. Whoever watches directories finds them; what was taken is decided here.

    at rest -> read -> `take`: its row, and its execution or a dead letter, in one commit -> deleted or moved -> `acted`

With `format: path` a file that is to be moved is moved first, so that the execution finds it where its trigger says:
`take` then only reserves it, and `acted` starts the execution. After a crash `pending` says what is still to be done.
"""

import logging
from collections.abc import Iterable, Sequence

from engine.crash import crash_point
from engine.store import Store, Transaction, deadletters, executions, files
from engine.store.deadletters import DeadLetter
from engine.store.executions import ExecutionRow
from engine.store.files import FileRow
from engine.triggers.admission import Admission
from engine.triggers.found import FileIdentity, Found, Intent, execution_of, intent_of
from engine.triggers.routes import Active

__all__ = ["Files"]

REMEMBERED = 30 * 86_400_000_000
"""How long a file that is gone is known in memory, in microseconds; its row knows it as long as retention says."""

_log = logging.getLogger(__name__)


class Files:
    """What was taken of the watched directories. `load` before use."""

    def __init__(self, store: Store, admission: Admission) -> None:
        self.admission = admission
        """Ask it for free slots before taking files."""
        self.counters = {"taken": 0, "dead": 0}
        """Files since the start."""
        self._store = store
        self._rows: dict[tuple[str, str], FileRow] = {}

    async def load(self) -> None:
        """Read what was taken before."""
        self._rows = {(row.workflow, row.path): row for row in await self._store.read(files.listing)}

    def is_taken(self, workflow: str, path: str, identity: FileIdentity) -> bool:
        """Whether the workflow took this very file, or does so just now."""
        row = self._rows.get((workflow, path))
        return row is not None and row.identity == str(identity)

    def pending(self) -> list[FileRow]:
        """Files that are still to be deleted or moved, the oldest first."""
        return [row for row in self._rows.values() if row.after]

    async def take(self, found: Sequence[Found]) -> None:
        """Take files in, all in one commit; one that was taken already starts nothing. Waits out a full disk."""
        now = self._store.clock.now()
        intents = [intent_of(one, now) for one in found]

        def unit(tx: Transaction) -> list[bool]:
            taken = []
            for intent in intents:
                is_new = files.take(tx, intent.row)
                if is_new and intent.execution is not None:
                    executions.create(tx, intent.execution)
                if is_new and intent.letter is not None:
                    deadletters.bury(tx, intent.letter)
                taken.append(is_new)
            crash_point("files-before-commit")
            return taken

        taken = await self._store.submit(unit)
        crash_point("files-after-commit")
        new: list[Intent] = []
        for intent, is_new in zip(intents, taken, strict=True):
            row = intent.row
            self._rows[row.workflow, row.path] = row
            if not is_new:
                row.after = ""
                continue
            new.append(intent)
            if intent.letter is not None:
                self.counters["dead"] += 1
                _log.error("%s: %s: %s", row.workflow, row.path, intent.letter.reason)
        self._admit([intent.execution for intent in new if intent.execution is not None])

    async def acted(self, row: FileRow, active: Active | None = None) -> None:
        """The file was deleted or moved, or had gone before. With `active`, its execution starts now."""
        now = self._store.clock.now()
        execution = None
        if active is not None:
            identity = FileIdentity.parse(row.identity)
            execution = execution_of(active, row.path, row.target, identity, None, now)

        def unit(tx: Transaction) -> bool:
            ours = files.has(tx, row)
            if ours:
                files.forget(tx, row.workflow, row.path)
                if execution is not None:
                    executions.create(tx, execution)
            return ours

        if await self._store.submit(unit) and execution is not None:
            self._admit([execution])
        crash_point("files-after-action")
        self._rows.pop((row.workflow, row.path), None)

    async def see(self, workflow: str, *, present: Iterable[str] = (), absent: Iterable[str] = ()) -> None:
        """Paths that a look at their directory found, or did not find."""
        now = self._store.clock.now()
        absent = list(absent)
        for path in absent:
            row = self._rows.get((workflow, path))
            if row is not None and row.gone_at is not None and now - row.gone_at > REMEMBERED:
                del self._rows[workflow, path]
        back = [row for path in present if (row := self._rows.get((workflow, path))) and row.gone_at is not None]
        gone = [row for path in absent if (row := self._rows.get((workflow, path))) and row.gone_at is None]
        if not back and not gone:
            return

        def unit(tx: Transaction) -> None:
            files.mark(tx, [(row.workflow, row.path) for row in back], gone_at=None)
            files.mark(tx, [(row.workflow, row.path) for row in gone], gone_at=now)

        await self._store.submit(unit)
        for row in back:
            row.gone_at = None
        for row in gone:
            row.gone_at = now

    def workflows(self) -> set[str]:
        """The workflows that have taken files."""
        return {workflow for workflow, _ in self._rows}

    def paths_of(self, workflow: str) -> list[str]:
        """The paths that a workflow has taken files of."""
        return [path for name, path in self._rows if name == workflow]

    async def release(self, letter: DeadLetter) -> None:
        """Let a dead letter's file be taken again, if it still lies there. Raises StoreFull, StoreBroken."""
        now = self._store.clock.now()

        def unit(tx: Transaction) -> None:
            files.forget(tx, letter.workflow, letter.subject)
            deadletters.mark_replayed(tx, letter.id, now)

        await self._store.submit(unit, patient=False)
        self._rows.pop((letter.workflow, letter.subject), None)

    def _admit(self, rows: list[ExecutionRow]) -> None:
        self.counters["taken"] += len(rows)
        if rows:
            self.admission.admit(rows)

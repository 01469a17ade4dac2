"""What waits for a slot. The store is the queue; memory holds its beginning, bounded, in order of intake."""

from collections import deque
from collections.abc import Iterable

from engine.store import Store, executions
from engine.store.executions import ExecutionRow

NEVER = 2**63 - 1


class Queue:
    """Ids in the order of their start, each once."""

    def __init__(self, store: Store, limit: int) -> None:
        self._store = store
        self._limit = limit
        """How many are known in memory."""
        self._order: deque[tuple[str, int]] = deque()
        """Ids and numbers. An id that is not in `_rows` has left the queue."""
        self._rows: dict[str, ExecutionRow | None] = {}
        self._last_num = 0
        """The store is asked for what comes behind this one."""
        self._earliest = NEVER
        """What came while the store was asked, the first of it."""
        self.more_in_store = True
        """The store may hold queued executions that memory does not, all behind `_last_num`."""
        self._came_meanwhile = False
        """Some were committed while the store was asked, perhaps too late to be in the answer."""

    def __len__(self) -> int:
        return len(self._rows)

    def admit(self, row: ExecutionRow) -> None:
        """One that was just committed, mostly the next in order of intake. The execution that a failure starts comes
        when the failed one has let go, perhaps behind others that were committed after it."""
        if self.more_in_store or len(self._rows) >= self._limit:
            self.more_in_store = self._came_meanwhile = True
            self._earliest = min(self._earliest, row.num - 1)
            self._last_num = min(self._last_num, row.num - 1)
        else:
            self.add(row.id, row, num=row.num)
            self._last_num = max(self._last_num, row.num)

    def add(self, id: str, row: ExecutionRow | None = None, *, num: int = 0) -> None:
        """One that is to start, with its row if that is at hand; its number if it is new."""
        if id not in self._rows:
            self._order.append((id, num))
            self._rows[id] = row

    def remove(self, id: str) -> None:
        """It is not to start, or not yet."""
        self._rows.pop(id, None)

    def take(self) -> tuple[str, ExecutionRow | None] | None:
        """The first one, and its row if that is known."""
        while self._order:
            id, _ = self._order.popleft()
            if id in self._rows:
                return id, self._rows.pop(id)
        return None

    @property
    def first(self) -> int | None:
        """The number of the first one, 0 if it had started before; None if there is none."""
        while self._order and self._order[0][0] not in self._rows:
            self._order.popleft()
        return self._order[0][1] if self._order else None

    async def fetch(self) -> Iterable[tuple[str, int]]:
        """Ids and numbers of the next executions that the store knows. The caller adds those that nobody holds; what is
        in the queue already stays where it is."""
        after, self._came_meanwhile, self._earliest = self._last_num, False, NEVER
        found = await self._store.read(lambda db: executions.queued(db, after=after, limit=self._limit))
        if found:
            self._last_num = min(found[-1][1], self._earliest)
        self.more_in_store = len(found) == self._limit or self._came_meanwhile
        return found

"""What waits for a slot. The store is the queue; memory holds its beginning, bounded, in order of intake."""

from collections import deque
from collections.abc import Iterable

from engine.store import Store, executions
from engine.store.executions import ExecutionRow


class Queue:
    """Ids in the order of their start, each once."""

    def __init__(self, store: Store, limit: int) -> None:
        self._store = store
        self._limit = limit
        """How many are known in memory."""
        self._order: deque[str] = deque()
        """An id that is not in `_rows` has left the queue."""
        self._rows: dict[str, ExecutionRow | None] = {}
        self._last_num = 0
        self.more_in_store = True
        """The store may hold queued executions that memory does not, all behind the last one that came in order."""
        self._came_meanwhile = False
        """Some were committed while the store was asked, perhaps too late to be in the answer."""

    def __len__(self) -> int:
        return len(self._rows)

    def admit(self, row: ExecutionRow) -> None:
        """The next one in order of intake, just committed."""
        if self.more_in_store or len(self._rows) >= self._limit:
            self.more_in_store = self._came_meanwhile = True
        else:
            self.add(row.id, row)
            self._last_num = max(self._last_num, row.num)

    def add(self, id: str, row: ExecutionRow | None = None) -> None:
        """One that is to start, with its row if that is at hand."""
        if id not in self._rows:
            self._order.append(id)
            self._rows[id] = row

    def remove(self, id: str) -> None:
        """It is not to start, or not yet."""
        self._rows.pop(id, None)

    def take(self) -> tuple[str, ExecutionRow | None] | None:
        """The first one, and its row if that is known."""
        while self._order:
            id = self._order.popleft()
            if id in self._rows:
                return id, self._rows.pop(id)
        return None

    async def fetch(self) -> Iterable[str]:
        """Ids of the next executions that only the store knows. The caller adds those that nobody holds."""
        after, self._came_meanwhile = self._last_num, False
        found = await self._store.read(lambda db: executions.queued(db, after=after, limit=self._limit))
        if found:
            self._last_num = found[-1][1]
        self.more_in_store = len(found) == self._limit or self._came_meanwhile
        return [id for id, _ in found]

"""`ctx.state`: what a node's code may do with the durable values of its workflow.

incr ──> a unit of the writer: the change, and a row that remembers it ──> the result
                     crash here: the repeated attempt finds the row, and gets the same result
the node's result ──> its checkpoint, which drops the row
"""

from collections.abc import Callable

from msgspec.structs import replace

from engine.contract import StateRefused
from engine.store import Store, StoreCorrupt, state
from engine.store.state import Change, Operation, Origin
from engine.store.transaction import Transaction
from engine.values import Json


class States:
    """The values of all workflows of this agent."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def of(
        self, execution: str, workflow: str, path: str, *, masked: Callable[[Json], Json], flush: Callable[[], object]
    ) -> "AttemptState":
        """What one attempt of a node may use. `masked` takes secrets out of what is kept. `flush` hands over what the
        attempt is built from: it is committed before, so that a repetition asks for the same."""
        return AttemptState(self, execution, workflow, path, masked, flush)

    async def get(self, workflow: str, key: str) -> state.Entry | None:
        """A key as it is. Raises StateRefused."""
        state.check_key(key)
        try:
            return await self._store.read(lambda db: state.get(db, workflow, key))
        except StoreCorrupt as damage:
            raise StateRefused(str(damage)) from None

    async def listing(self, workflow: str, *, after: str = "", limit: int = 100) -> list[state.Entry]:
        """Its keys behind one, in their order. Raises StateRefused."""
        try:
            return await self._store.read(lambda db: state.listing(db, workflow, after=after, limit=limit))
        except StoreCorrupt as damage:
            raise StateRefused(str(damage)) from None

    async def change(
        self, workflow: str, operation: Operation, origin: Origin | None = None, *, patient: bool = True
    ) -> Json:
        """Change a key, once for each origin. Raises StateRefused, and StoreFull unless it is patient."""
        now = self._store.clock.now()

        def unit(tx: Transaction) -> tuple[Json, str]:
            # A refusal is a result: an error would have everything that is committed with it done again.
            try:
                return state.change(tx, workflow, operation, now, origin), ""
            except (StateRefused, StoreCorrupt) as refusal:
                return None, str(refusal)

        result, refusal = await self._store.submit(unit, patient=patient)
        if refusal:
            raise StateRefused(refusal)
        return result


class AttemptState:
    """See `engine.contract.State`."""

    __slots__ = ("_execution", "_flush", "_masked", "_path", "_states", "_workflow", "changes")

    def __init__(
        self, states: States, execution: str, workflow: str, path: str, masked: Callable[[Json], Json],
        flush: Callable[[], object],
    ) -> None:  # fmt: skip
        self._states = states
        self._execution = execution
        self._workflow = workflow
        self._path = path
        self._masked = masked
        self._flush = flush
        self.changes = 0
        """How many this attempt has made; the number of the next one."""

    async def get(self, key: str, default: Json = None) -> Json:
        entry = await self._states.get(self._workflow, self._masked(key))
        return default if entry is None else entry.value

    async def set(self, key: str, value: Json) -> None:
        await self._change(Operation(change=Change.SET, key=key, value=value))

    async def incr(self, key: str, by: int | float = 1) -> int | float:
        total: int | float = await self._change(Operation(change=Change.INCR, key=key, by=by))
        return total

    async def delete(self, key: str) -> bool:
        return bool(await self._change(Operation(change=Change.DELETE, key=key)))

    async def compare_and_set(self, key: str, expected: Json, value: Json) -> bool:
        operation = Operation(change=Change.COMPARE_AND_SET, key=key, value=value, expected=expected)
        return bool(await self._change(operation))

    async def _change(self, operation: Operation) -> Json:
        operation = replace(operation, key=self._masked(operation.key), value=self._masked(operation.value))
        origin = Origin(self._execution, self._path, self.changes)
        self.changes += 1
        self._flush()
        return await self._states.change(self._workflow, operation, origin)

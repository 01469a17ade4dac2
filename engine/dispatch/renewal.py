"""A store that goes on as another agent's: a clone that is to live beside the one it was made of.

What was under way belongs to the other one too, which goes on with it: done twice, it would have its effects twice. So
it is cancelled here, and what waited to be sent is dropped, unless there is no other one any more.
"""

import secrets

import msgspec

from engine.dispatch.preparation import abandon
from engine.states import ExecutionState
from engine.store import Store, Transaction, executions

REASON = "this agent was made from a copy of another one, which goes on with it"
BATCH = 200
"""Executions cancelled in one commit."""
_OPEN = tuple(state for state in ExecutionState)


class Renewed(msgspec.Struct, frozen=True):
    """What became of the store."""

    epoch: str
    cancelled: int
    """Executions."""
    dropped: int
    """Facts and messages of nodes that had not been sent, or were kept for a while after that."""


async def renew(store: Store, *, keep: bool = False) -> Renewed:
    """Give a store that nothing runs on a new epoch. `keep`: what was under way goes on at the next start.

    May be repeated if it was interrupted. Raises StoreFull, StoreBroken.
    """
    dropped = cancelled = 0
    if not keep:
        dropped = await store.submit(_drop, patient=False)
        open_ids = await store.read(lambda db: executions.open_ids(db, *_OPEN))
        now = store.clock.now()
        for at in range(0, len(open_ids), BATCH):
            batch = open_ids[at : at + BATCH]

            def cancel(tx: Transaction, batch: list[str] = batch) -> None:
                for id in batch:
                    abandon(tx, executions.glimpse(tx.db, id), now, REASON)

            await store.submit(cancel, patient=False)
        cancelled = len(open_ids)
    epoch = secrets.token_hex(4)

    def unit(tx: Transaction) -> None:
        tx.execute("INSERT OR REPLACE INTO meta VALUES ('epoch', ?)", (epoch,))

    await store.submit(unit, patient=False)
    return Renewed(epoch, cancelled, dropped)


def _drop(tx: Transaction) -> int:
    """The other one sends these. The numbers of facts go on; the new epoch tells them apart."""
    dropped = 0
    for table in ("facts", "publications", "cursors"):
        gone = tx.execute(f"DELETE FROM {table}").rowcount  # noqa: S608 - our own names
        dropped += gone if table != "cursors" else 0
    return dropped

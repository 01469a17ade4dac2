"""A store that goes on as another agent's: a clone that is to live beside the one it was made of.

What was under way belongs to the other one too, which goes on with it: done twice, it would have its effects twice. So
it is cancelled here, and what waited to be sent is dropped, unless there is no other one any more. What the clone has
accepted itself, before it was found to be one, is its own and goes on.
"""

import secrets
import sqlite3

import msgspec

from engine.dispatch.preparation import abandon
from engine.store import Store, Transaction, executions

REASON = "this agent was made from a copy of another one, which goes on with it"
BATCH = 200
"""Executions cancelled in one commit."""
_NEVER = 2**62


class Renewed(msgspec.Struct, frozen=True):
    """What became of the store."""

    epoch: str
    cancelled: int
    """Executions."""
    dropped: int
    """Facts and messages of nodes that had not been sent, or were kept for a while after that."""


async def renew(store: Store, *, keep: bool = False, own_since: int = 0) -> Renewed:
    """Give a store that nothing runs on a new epoch. `keep`: everything goes on at the next start; else only what came
    at `own_since` or later (microseconds; 0: nothing did).

    May be repeated if it was interrupted. Raises StoreFull, StoreBroken.
    """
    dropped = cancelled = 0
    if not keep:
        border = own_since or _NEVER
        dropped = await store.submit(lambda tx: _drop(tx, border), patient=False)
        open_ids = await store.read(lambda db: _before(db, border))
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


def _drop(tx: Transaction, border: int) -> int:
    """The other one sends these. The numbers of facts go on; the new epoch tells them apart."""
    facts = tx.execute("DELETE FROM facts WHERE time < ?", (border,)).rowcount
    publications = tx.execute("DELETE FROM publications WHERE created_at < ?", (border,)).rowcount
    tx.execute("DELETE FROM cursors")
    return facts + publications


def _before(db: sqlite3.Connection, border: int) -> list[str]:
    found = db.execute(
        "SELECT id FROM executions WHERE finished_at IS NULL AND created_at < ? ORDER BY num", (border,)
    ).fetchall()
    return [id for (id,) in found]

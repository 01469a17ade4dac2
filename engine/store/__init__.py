"""SQLite: one file, one writer, one transaction per checkpoint.

    store.py        open the file; `submit` a unit to the next commit, `read`
    writer.py       the group commit: who owns the database, and what a full disk does
    reader.py       questions, answered in groups
    transaction.py  what a unit sees; where facts get their numbers
    schema.py       the tables, and how a file becomes of this version; versions.py: which it is of, untouched
    connection.py   settings of a connection, its thread, and what its errors mean
    check.py        is the file whole, is each row; backup.py, restoring.py: the store as one file, and back
    executions.py   executions                       checkpoints.py  their nodes
    damage.py       how a row shows that it is whole inbox.py        which message became which execution
    outbox.py       facts and publications to send   deadletters.py  messages that could not be taken or sent
    definitions.py  versions of workflows            state.py        durable values of workflows, by key
    schedules.py    when each cron trigger is due    turns.py        who waits for a start under a flow
    chains.py       how far triggers have read facts files.py        which files were taken in
    watches.py      how far they have read the fleet sightings.py    which agents are there, and which are lost
    usage.py        what executions used, by hour    values.py       large values, each once
    housekeeping.py retention                        space.py        how a file hands back what it needs no more

The modules of the last nine lines are functions: those that take a `Transaction` run inside a unit, those that take a
connection run inside a read.
"""

from engine.store.errors import StoreBroken, StoreCorrupt, StoreError, StoreFull, StoreInUse, StoreNewer
from engine.store.store import Store
from engine.store.transaction import Transaction, Unit

__all__ = [
    "Store", "StoreBroken", "StoreCorrupt", "StoreError", "StoreFull", "StoreInUse", "StoreNewer", "Transaction",
    "Unit",
]  # fmt: skip

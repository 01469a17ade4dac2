"""How far the fleet triggers of a workflow have looked through the record of the fleet, and what they remember. A row
moves on in the commit that makes the executions. What the states hold is the triggers' business."""

from collections.abc import Collection, Iterable

from engine.store.transaction import Transaction

WHERE_BEGUN = ""
"""The group under which a trigger notes where it began."""

_DEPLOYED = "WHERE EXISTS (SELECT 1 FROM definitions WHERE workflow = ? AND active)"


def listing(tx: Transaction) -> dict[str, int]:
    """Workflow -> number of the newest event that was looked at."""
    return dict(tx.execute("SELECT workflow, number FROM fleet_watches"))


def states(tx: Transaction, workflow: str) -> dict[str, dict[str, bytes]]:
    """Trigger -> group -> state."""
    found: dict[str, dict[str, bytes]] = {}
    for trigger, group, state in tx.execute(
        "SELECT trigger, grouped, state FROM fleet_states WHERE workflow = ?", (workflow,)
    ):
        found.setdefault(trigger, {})[group] = state
    return found


def put(tx: Transaction, workflow: str, number: int) -> None:
    """Set a row, whatever was there, unless the workflow is not deployed (any more)."""
    tx.execute(f"INSERT OR REPLACE INTO fleet_watches SELECT ?, ? {_DEPLOYED}", (workflow, number, workflow))


def advance(tx: Transaction, workflow: str, *, number: int, next_number: int) -> bool:
    """Move a row on. False, and nothing done, if it is no longer where it was, or the workflow is not deployed."""
    moved = tx.execute(
        "UPDATE fleet_watches SET number = ? WHERE workflow = ? AND number = ? "
        "AND EXISTS (SELECT 1 FROM definitions WHERE workflow = ? AND active)",
        (next_number, workflow, number, workflow),
    ).rowcount
    return bool(moved)


def keep(tx: Transaction, workflow: str, states: Iterable[tuple[str, str, bytes | None]]) -> None:
    """Set (trigger, group, state); None removes one."""
    for trigger, group, state in states:
        if state is None:
            tx.execute(
                "DELETE FROM fleet_states WHERE workflow = ? AND trigger = ? AND grouped = ?",
                (workflow, trigger, group),
            )
        else:
            tx.execute(
                f"INSERT OR REPLACE INTO fleet_states SELECT ?, ?, ?, ? {_DEPLOYED}",
                (workflow, trigger, group, state, workflow),
            )


def forget_triggers(tx: Transaction, workflow: str, triggers: Collection[str]) -> None:
    """Drop what triggers remember that the workflow does not have any more."""
    tx.db.executemany(
        "DELETE FROM fleet_states WHERE workflow = ? AND trigger = ?", [(workflow, one) for one in triggers]
    )


def forget(tx: Transaction, workflows: Collection[str]) -> None:
    """Drop all of these workflows."""
    for table in ("fleet_watches", "fleet_states"):
        tx.db.executemany(f"DELETE FROM {table} WHERE workflow = ?", [(one,) for one in workflows])


def forget_inactive(tx: Transaction) -> None:
    """Drop the rows of workflows that are not deployed any more."""
    for table in ("fleet_watches", "fleet_states"):
        tx.execute(f"DELETE FROM {table} WHERE workflow NOT IN (SELECT workflow FROM definitions WHERE active)")

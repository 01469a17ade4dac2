"""Large values: stored once, referred to, and gone when nothing refers to them."""

import msgspec
import pytest

from engine.states import ExecutionState, NodeState
from engine.store import StoreCorrupt, checkpoints, executions, values
from engine.store.checkpoints import NodeRow
from engine.store.executions import ExecutionRow
from engine.store.housekeeping import Housekeeper, Retention

BIG = b'"' + b"x" * values.LARGE + b'"'
OTHER = b'"' + b"y" * values.LARGE + b'"'
SMALL = b'"small"'


def execution(name: str, trigger: bytes = b"{}") -> ExecutionRow:
    return ExecutionRow(
        id=name, workflow="w", version=1, status=ExecutionState.QUEUED, root=name, trigger=trigger, created_at=1
    )


def node(path: str, output: bytes | None = BIG, status: NodeState = NodeState.COMPLETED, **more) -> NodeRow:
    return NodeRow(path=path, status=status, attempt=1, output=output, **more)


async def create(store, name: str, *rows: NodeRow, trigger: bytes = b"{}", outputs: bytes | None = None) -> None:
    def unit(tx):
        executions.create(tx, execution(name, trigger))
        for row in rows:
            checkpoints.write(tx, name, row)
        if outputs is not None:
            executions.finish(tx, name, ExecutionState.COMPLETED, now=2, outputs=outputs, error=None)

    await store.submit(unit)


async def put(store, name: str, row: NodeRow) -> None:
    await store.submit(lambda tx: checkpoints.write(tx, name, row))


async def rows(store, name: str, **options) -> dict[str, NodeRow]:
    return {row.path: row for row in await store.read(lambda db: checkpoints.of(db, name, **options))}


async def stored(store) -> list[str]:
    """The hashes that are in the store."""
    return [hash for (hash,) in await store.read(lambda db: db.execute("SELECT hash FROM large_values").fetchall())]


async def uses(store) -> list[str]:
    found = await store.read(lambda db: db.execute("SELECT execution FROM value_uses ORDER BY 1").fetchall())
    return [name for (name,) in found]


async def remove(store, count: int = 0) -> None:
    keeper = Housekeeper(store, Retention(age=None, count=count, bytes=None))
    while await keeper.tidy():
        pass


async def test_a_large_output_is_stored_once_and_its_rows_refer_to_it(store):
    await create(store, "one", node("a"), node("b"), node("c", SMALL))
    await create(store, "two", node("a"))

    found = await rows(store, "one")

    assert await stored(store) == [values.hash_of(BIG)]
    assert (found["a"].output, found["a"].large) == (None, values.hash_of(BIG))
    assert (found["c"].output, found["c"].large) == (SMALL, None)
    assert await store.read(lambda db: values.load(db, found["b"].large)) == BIG
    assert (await rows(store, "two", whole=True))["a"].output == BIG
    assert await uses(store) == ["one", "two"]


async def test_up_to_the_limit_a_value_stays_in_its_row(store):
    just = b'"' + b"x" * (values.LARGE - 2) + b'"'
    await create(store, "one", node("a", just))

    assert (await rows(store, "one"))["a"].output == just
    assert await stored(store) == []


async def test_large_triggers_and_outputs_are_values_too_and_come_back_whole(store):
    trigger = b'{"data": ' + BIG + b"}"
    await create(store, "one", node("a"), trigger=trigger, outputs=BIG)

    row = await store.read(lambda db: executions.get(db, "one"))

    assert (row.trigger, row.outputs) == (trigger, BIG)
    assert sorted(await stored(store)) == sorted([values.hash_of(trigger), values.hash_of(BIG)])
    [listed] = await store.read(executions.listing)
    assert (listed.trigger, listed.outputs) == (b"", None), "a list does not load them"


async def test_a_value_goes_with_the_last_execution_that_uses_it(store):
    await create(store, "one", node("a"), node("b", OTHER), outputs=b"1")
    await create(store, "open", node("a"))

    await remove(store)
    assert await stored(store) == [values.hash_of(BIG)]
    assert (await rows(store, "open", whole=True))["a"].output == BIG

    await store.submit(lambda tx: executions.finish(tx, "open", ExecutionState.FAILED, now=3, outputs=None, error=None))
    await remove(store)
    assert await stored(store) == await uses(store) == []


async def test_a_row_that_comes_as_a_reference_is_a_use(store):
    await create(store, "one", node("a"), outputs=b"1")
    await create(store, "fork", node("a", None, large=values.hash_of(BIG)))

    await remove(store)

    assert (await rows(store, "fork", whole=True))["a"].output == BIG


async def test_memos_of_a_node_that_waits_again_and_again_do_not_pile_up(store):
    await create(store, "one")
    for i in range(5):
        await put(store, "one", node("a", BIG[:-2] + b'%d"' % i, NodeState.WAITING, due=7))
    assert len(await stored(store)) == 1

    await put(store, "one", node("b", OTHER))
    await put(store, "one", node("a", OTHER))
    assert await stored(store) == [values.hash_of(OTHER)]
    await put(store, "one", node("a", BIG))
    assert sorted(await stored(store)) == sorted([values.hash_of(OTHER), values.hash_of(BIG)]), "b still refers to it"


async def test_a_value_that_a_trigger_uses_survives_its_replacement_in_a_row(store):
    await create(store, "one", node("a"), trigger=BIG)
    await put(store, "one", node("a", OTHER))

    assert (await store.read(lambda db: executions.get(db, "one"))).trigger == BIG


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE large_values SET body = CAST(zeroblob(70000) AS BLOB)",
        "UPDATE large_values SET body = 'text'",
        "DELETE FROM large_values",
    ],
)
async def test_damaged_value_is_found_when_it_is_loaded(store, damage):
    await create(store, "one", node("a"))
    await store.submit(lambda tx: tx.execute(damage))

    with pytest.raises(StoreCorrupt, match=r"large value .* is damaged.*not run"):
        await store.read(lambda db: values.load(db, values.hash_of(BIG)))
    with pytest.raises(StoreCorrupt):
        await rows(store, "one", whole=True)
    assert (await rows(store, "one"))["a"].large, "what does not need it is not concerned"


async def test_changed_reference_is_a_damaged_row(store):
    await create(store, "one", node("a"), node("b", OTHER))
    other = values.hash_of(OTHER)
    await store.submit(lambda tx: tx.execute("UPDATE nodes SET large = ? WHERE path = 'a'", (other,)))

    with pytest.raises(StoreCorrupt, match=r"checkpoint of a .* damaged"):
        await rows(store, "one")


async def test_glimpse_reads_only_the_beginning(store):
    await create(store, "one", node("a"))

    assert await store.read(lambda db: values.glimpse(db, values.hash_of(BIG), 5)) == (len(BIG), b'"xxxx')
    assert await store.read(lambda db: values.glimpse(db, "unknown", 5)) == (0, b"")


async def test_unit_that_fails_leaves_no_value_behind(store):
    def unit(tx):
        checkpoints.write(tx, "one", node("a"))
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await store.submit(unit)

    assert await stored(store) == await uses(store) == []


async def test_rows_written_by_the_version_before_stay_valid(store):
    """A large output in its row: from before there were values."""
    crc = checkpoints._crc_of_node("old", node("a"), BIG, None)
    await store.submit(lambda tx: executions.create(tx, execution("old")))
    await store.submit(
        lambda tx: tx.execute(
            "INSERT INTO nodes (execution, path, status, attempt, output, crc) VALUES ('old', 'a', ?, 1, ?, ?)",
            ("completed", BIG, crc),
        )
    )

    assert (await rows(store, "old"))["a"].output == BIG


async def test_every_shape_of_json_comes_back(store):
    body = msgspec.json.encode({"rows": [{"x": i, "t": "ä" * 10} for i in range(5000)]})
    await create(store, "one", node("a", body))

    assert (await rows(store, "one", whole=True))["a"].output == body

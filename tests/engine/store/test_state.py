"""Durable values of workflows: bounded, checked, and changed once for each node that asks."""

import asyncio

import pytest

from engine.store import Store, StoreCorrupt, state
from engine.store.state import Change, Operation, Origin, StateRefused

HERE = Origin("x1", "count", 0)


async def change(store, kind, key="k", *, workflow="w", origin=None, now=7, **fields):
    operation = Operation(change=Change(kind), key=key, **fields)
    return await store.submit(lambda tx: state.change(tx, workflow, operation, now, origin))


async def value(store, key="k", workflow="w"):
    entry = await store.read(lambda db: state.get(db, workflow, key))
    return None if entry is None else entry.value


async def test_set_value_is_there_after_a_restart(tmp_path):
    async with Store.open(tmp_path / "s.db") as store:
        assert await change(store, "set", value={"a": [1, None, "ü"]}) == {"a": [1, None, "ü"]}
    async with Store.open(tmp_path / "s.db") as store:
        assert await value(store) == {"a": [1, None, "ü"]}


async def test_workflows_have_keys_of_their_own(store):
    await change(store, "set", value=1)
    await change(store, "set", value=2, workflow="other")
    assert (await value(store), await value(store, workflow="other")) == (1, 2)


async def test_incr_counts_from_nothing_and_is_exact(store):
    assert await change(store, "incr") == 1
    assert await change(store, "incr", by=2**62) == 2**62 + 1
    assert await change(store, "incr", by=-1) == 2**62
    assert await change(store, "incr", "f", by=0.5) == 0.5


async def test_concurrent_counts_lose_none(store):
    given = await asyncio.gather(*(change(store, "incr") for _ in range(200)))
    assert sorted(given) == list(range(1, 201))


async def test_delete_says_whether_there_was_anything(store):
    await change(store, "set", value=None)
    assert await change(store, "delete") is True
    assert await change(store, "delete") is False


@pytest.mark.parametrize(
    ("there", "expected", "done"),
    [
        (1, 1, True), (1, 1.0, True), (1, True, False), (1, 2, False), ("1", 1, False),
        ([1, {"a": None}], [1, {"a": None}], True), ([1], [True], False),
        ({"a": 1}, {"a": 1, "b": 2}, False), (None, None, True),
    ],
)  # fmt: skip
async def test_compare_and_set_sets_only_what_is_expected(store, there, expected, done):
    await change(store, "set", value=there)
    assert await change(store, "compare_and_set", expected=expected, value="new") is done
    assert await value(store) == ("new" if done else there)


async def test_what_is_not_there_compares_as_null(store):
    assert await change(store, "compare_and_set", expected=0, value=1) is False
    assert await change(store, "compare_and_set", expected=None, value=1) is True


async def test_entries_are_listed_in_order_with_their_history(store):
    for key in ("b", "a", "c"):
        await change(store, "set", key, value=1)
    await change(store, "set", "b", value="xy", now=9)
    listed = await store.read(lambda db: state.listing(db, "w", after="a", limit=5))
    assert [(entry.key, entry.value, entry.size, entry.revision, entry.changed_at) for entry in listed] == [
        ("b", "xy", 4, 2, 9),
        ("c", 1, 1, 1, 7),
    ]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "set", "key": ""}, "a key is 1 to 256 bytes of printable text, got 0 bytes"),
        ({"kind": "set", "key": "ü" * 129}, "got 258 bytes"),
        ({"kind": "set", "key": "a\nb"}, "printable"),
        ({"kind": "set", "value": "x" * 65_536}, "a value has up to 65536 bytes, this one 65538"),
        ({"kind": "set", "value": {1: 2}}, "the value is not JSON data"),
        ({"kind": "set", "value": float("nan")}, "the value is not JSON data"),
        ({"kind": "set", "value": "\ud800"}, "the value is not JSON data"),
        ({"kind": "incr", "key": "text"}, "'text' holds a string, and only numbers are added"),
        ({"kind": "incr", "by": True}, "'k' would be changed by a boolean"),
        ({"kind": "incr", "key": "large"}, "'large' would be beyond 64 bits"),
        ({"kind": "incr", "by": float("inf")}, "beyond 64 bits"),
    ],
)
async def test_what_can_not_be_kept_is_refused_and_changes_nothing(store, fields, message):
    await change(store, "set", "text", value="x")
    await change(store, "set", "large", value=2**63 - 1)
    with pytest.raises(StateRefused, match=message.replace("(", r"\(")):
        await change(store, **fields)
    assert await value(store) is None


async def test_a_workflow_has_so_many_keys_and_no_more(store, monkeypatch):
    monkeypatch.setattr(state, "MAX_KEYS", 2)
    await change(store, "set", "a", value=1)
    await change(store, "set", "b", value=1)
    with pytest.raises(StateRefused, match="w has 2 keys, and may have no more: delete what is not needed"):
        await change(store, "set", "c", value=1)
    assert await change(store, "incr", "b") == 2
    await change(store, "set", "c", value=1, workflow="other")


async def test_a_repeated_change_of_a_node_happens_once(store):
    assert await change(store, "incr", by=5, origin=HERE) == 5
    assert await change(store, "incr", by=5, origin=HERE) == 5
    assert await change(store, "incr", by=5, origin=Origin("x1", "count", 1)) == 10
    assert await change(store, "incr", by=5, origin=Origin("x2", "count", 0)) == 15
    assert await change(store, "delete", origin=Origin("x3", "count", 0)) is True
    assert await change(store, "delete", origin=Origin("x3", "count", 0)) is True
    assert await value(store) is None


async def test_a_node_whose_result_is_committed_may_change_it_anew(store):
    assert await change(store, "incr", origin=HERE) == 1
    await store.submit(lambda tx: state.forget(tx, "x1", ["count"]))
    assert await change(store, "incr", origin=HERE) == 2


async def test_a_repeated_attempt_that_does_something_else_is_refused(store):
    await change(store, "incr", origin=HERE)
    with pytest.raises(StateRefused, match="the attempt before did incr 'k' here, and now it is set 'k'"):
        await change(store, "set", value=1, origin=HERE)


async def test_a_damaged_value_is_reported_and_can_be_replaced(store):
    await change(store, "set", value=1)
    await store.submit(lambda tx: tx.execute("UPDATE state SET value = '2'"))
    with pytest.raises(StoreCorrupt, match="the state 'k' of w is not what was written: set or delete it"):
        await value(store)
    with pytest.raises(StoreCorrupt):
        await change(store, "incr")
    await change(store, "set", value=3)
    assert await value(store) == 3

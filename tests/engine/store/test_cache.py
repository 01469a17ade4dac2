"""Results that are used again: for a time, and not too many."""

from engine.store import cache
from engine.store.cache import Hit, Keeping

HOUR = 3_600_000_000


async def keep(store, key=b"k", output=b"1", *, port=None, at=0, workflow="w", ttl=HOUR):
    keeping = Keeping(workflow=workflow, key=key, at=at, hit=Hit(output, port), expires_at=at + ttl)
    await store.submit(lambda tx: cache.keep(tx, keeping))


async def use(store, key, at):
    await store.submit(lambda tx: cache.keep(tx, Keeping(workflow="w", key=key, at=at, hit=None)))


async def find(store, key=b"k", *, now=0, workflow="w"):
    return await store.read(lambda db: cache.find(db, workflow, key, now))


async def test_a_result_is_found_while_it_is_fresh(store):
    await keep(store, output=b'{"a": 1}', port="then")
    assert await find(store, now=HOUR - 1) == Hit(b'{"a": 1}', "then")
    assert await find(store, now=HOUR) is None
    assert await find(store, b"other") is None
    assert await find(store, workflow="other") is None


async def test_a_newer_result_takes_the_place(store):
    await keep(store, output=b"1")
    await keep(store, output=b"2", at=5)
    assert await find(store, now=HOUR + 1) == Hit(b"2", None)


async def test_the_least_recently_used_one_goes_first(store, monkeypatch):
    monkeypatch.setattr(cache, "MAX_ENTRIES", 3)
    for at, key in enumerate((b"a", b"b", b"c")):
        await keep(store, key, at=at)
    await use(store, b"a", 7)
    await keep(store, b"d", at=8)
    await keep(store, b"x", at=0, workflow="other")
    assert [key for key in (b"a", b"b", b"c", b"d") if await find(store, key)] == [b"a", b"c", b"d"]
    assert await find(store, b"x", workflow="other")


async def test_what_has_expired_goes_in_steps(store, monkeypatch):
    monkeypatch.setattr(cache, "STEP", 2)
    for key in (b"a", b"b", b"c"):
        await keep(store, key)
    await keep(store, b"d", ttl=3 * HOUR)
    assert await store.submit(lambda tx: cache.expire(tx, HOUR)) is True
    assert await store.submit(lambda tx: cache.expire(tx, HOUR)) is False
    assert await find(store, b"d")
    (left,) = await store.read(lambda db: db.execute("SELECT COUNT(*) FROM cache").fetchone())
    assert left == 1


async def test_a_damaged_entry_is_none(store):
    await keep(store)
    for damage in ("output = x'32'", "port = 'then'", "output = 1"):
        await store.submit(lambda tx, damage=damage: tx.execute(f"UPDATE cache SET {damage}"))
        assert await find(store) is None
        await keep(store)

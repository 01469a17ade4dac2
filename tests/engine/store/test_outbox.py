"""Facts and publications on their way out, each lane in its order."""

import pytest

from engine.events import Event, Kind
from engine.store import Store, deadletters, inbox
from engine.store.outbox import RECENT, Cursor, Outbox, Publication, history, last_seq, publish


def told(count: int = 1, **fields):
    def unit(tx):
        for _ in range(count):
            tx.fact(Event(**{"kind": Kind.AGENT_STARTED, "time": 1} | fields))

    return unit


@pytest.fixture
def box(store) -> Outbox:
    return Outbox(store)


async def test_facts_come_in_order_from_memory_and_from_the_file(store, box):
    await store.submit(told(RECENT + 500))
    position, seen = 0, []
    while facts := await box.facts_after(position, 100):
        assert len(facts) <= 100
        seen += [fact.seq for fact in facts]
        position = seen[-1]

    assert seen == list(range(1, RECENT + 501))
    assert box.last_seq == RECENT + 500


async def test_facts_of_an_earlier_life_are_read_from_the_file(tmp_path):
    async with Store.open(tmp_path / "s.db") as store:
        await store.submit(told(5))
    async with Store.open(tmp_path / "s.db") as store:
        box = Outbox(store)
        assert [fact.seq for fact in await box.facts_after(2)] == [3, 4, 5]
        await store.submit(told(2))
        assert [fact.seq for fact in await box.facts_after(4)] == [5, 6, 7]
        assert await box.facts_after(7) == []
        assert await store.read(last_seq) == 7


async def test_numbers_go_on_after_all_facts_were_removed(store, box):
    await store.submit(told(3))
    await store.submit(lambda tx: tx.execute("DELETE FROM facts"))
    await store.submit(told(1))

    assert [fact.seq for fact in await store.read(lambda db: history(db, after=0, limit=9))] == [4]


async def test_the_relay_is_woken_by_new_facts(store, box):
    await store.submit(told())

    assert await box.signal.wait(5)


async def test_cursor_is_where_the_relay_stood(tmp_path):
    cursor = Cursor(name="hub", seq=7, stream_created="2026", stream_seq=9)
    async with Store.open(tmp_path / "s.db") as store:
        assert await Outbox(store).cursor("hub") == Cursor(name="hub")
        await Outbox(store).advance(Cursor(name="hub", seq=3))
        await Outbox(store).advance(cursor)
    async with Store.open(tmp_path / "s.db") as store:
        assert await Outbox(store).cursor("hub") == cursor


async def test_depth_counts_what_has_not_been_sent(store, box):
    await store.submit(told(10))
    assert await box.depth() == 10
    await box.advance(Cursor(name="local", seq=10))
    await box.advance(Cursor(name="hub", seq=6))
    assert await box.depth() == 4


def message(subject: str) -> Publication:
    return Publication(execution="e", path="p", subject=subject, headers={"A": "b"}, body=b"\x00\xff")


async def test_publications_stay_in_order_until_they_are_acknowledged(store, box):
    def unit(tx):
        for subject in ("a", "b", "c"):
            publish(tx, message(subject), 5)

    await store.submit(unit)
    found = await box.publications()
    assert [(p.subject, p.headers, p.body, p.created_at) for p in found] == [
        (subject, {"A": "b"}, b"\x00\xff", 5) for subject in ("a", "b", "c")
    ]
    await box.published([found[0].id, found[2].id])
    assert [p.subject for p in await box.publications()] == ["b"]
    assert await box.publications(after=found[1].id) == []


async def test_publication_that_can_not_be_sent_becomes_a_dead_letter_with_its_fact(store, box):
    await store.submit(lambda tx: publish(tx, message("a"), 5))
    [publication] = await box.publications()

    await box.refuse(publication, "too large")

    assert await box.publications() == []
    [letter] = await store.read(deadletters.listing)
    assert (letter.origin, letter.subject, letter.reason, letter.body) == ("outbox", "a", "too large", b"\x00\xff")
    [fact] = await store.read(lambda db: history(db, after=0, limit=9))
    assert fact.kind is Kind.MESSAGE_DEAD


async def test_history_is_of_one_execution_or_workflow_and_can_be_paged(store):
    await store.submit(told(3, workflow="v", execution="one"))
    await store.submit(told(3, workflow="w", execution="two"))

    def seqs(**fields):
        return store.read(lambda db: [fact.seq for fact in history(db, **{"limit": 9} | fields)])

    assert await seqs(execution="two") == [4, 5, 6]
    assert await seqs(workflow="v", limit=2) == [2, 3]  # the newest
    assert await seqs(after=2, limit=2) == [3, 4]
    assert await seqs(workflow="none") == []


async def test_message_is_claimed_once_per_workflow_scope_and_id(store):
    def claim(execution: str, **fields):
        wanted = {"workflow": "w", "scope": "s", "id": "7"} | fields
        return store.submit(lambda tx: inbox.claim(tx, execution=execution, now=1, **wanted))

    assert await claim("e1") is None
    assert await claim("e2") == "e1"
    assert await claim("e3", workflow="v") is None
    assert await claim("e4", scope="t") is None
    assert await claim("e5", id="8") is None

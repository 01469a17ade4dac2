"""What an agent says of its facts to whoever misses some."""

from engine.events import Event, Kind
from engine.store.outbox import last_seq


async def facts(rig, count: int, **data) -> None:
    def unit(tx) -> None:
        for _ in range(count):
            tx.fact(Event(kind=Kind.AGENT_STARTED, time=1, data=data))

    await rig.store.submit(unit)


async def forget(rig, first: int, last: int) -> None:
    await rig.store.submit(lambda tx: tx.execute("DELETE FROM facts WHERE seq BETWEEN ? AND ?", (first, last)))


def numbers(answer) -> list[int]:
    return [int(event["sequence"]) for event in answer["events"]]


async def test_a_page_says_up_to_where_it_tells_all_that_there_is(rig):
    await facts(rig, 10)
    newest = await rig.store.read(last_seq)
    await forget(rig, newest - 8, newest - 6)

    page = await rig.ask("events", after=newest - 10, limit=3)
    rest = await rig.ask("events", after=newest - 4, limit=100)

    assert page["epoch"] == rig.store.epoch
    assert numbers(page) == [newest - 9, newest - 5, newest - 4]
    assert page["through"] == newest - 4
    assert numbers(rest) == list(range(newest - 3, newest + 1))
    assert rest["through"] == newest


async def test_facts_that_are_gone_are_told_by_an_empty_page(rig):
    await facts(rig, 3)
    newest = await rig.store.read(last_seq)
    await forget(rig, 1, newest)

    assert (await rig.ask("events", after=0)) == {"events": [], "epoch": rig.store.epoch, "through": newest}


async def test_a_filtered_page_says_nothing_about_what_it_leaves_out(rig):
    await facts(rig, 3)

    assert (await rig.ask("events", after=0, workflow="w"))["through"] == 0
    assert (await rig.ask("events", limit=2))["through"] == 0


async def test_a_page_of_large_facts_is_cut_and_can_be_gone_on_from(rig):
    await facts(rig, 40, text="x" * 60_000)
    newest = await rig.store.read(last_seq)

    first = await rig.ask("events", after=newest - 40, limit=1000)
    second = await rig.ask("events", after=first["through"], limit=5)
    last = await rig.ask("events", limit=1000)

    assert 5 < len(first["events"]) < 12
    assert first["through"] == numbers(first)[-1]
    assert numbers(second)[0] == first["through"] + 1
    assert numbers(last)[-1] == newest
    assert len(last["events"]) < 12

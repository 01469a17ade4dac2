"""Events inside the process."""

import asyncio

from engine.events import FACTS, LIVE, Bus, Event, Kind


def event(kind: Kind = Kind.WORKFLOW_STARTED, **fields) -> Event:
    return Event(kind=kind, time=1, **fields)


def test_every_kind_is_either_a_fact_or_live():
    assert frozenset(Kind) == FACTS | LIVE
    assert not FACTS & LIVE


def test_subscription_gets_what_it_wants_in_order():
    bus = Bus()
    with bus.subscribe(lambda e: e.execution == "x") as events:
        bus.emit([event(execution="x", node="1"), event(execution="y"), event(execution="x", node="2")])

        assert [e.node for e in events.take()] == ["1", "2"]
        assert events.take() == []


def test_live_events_are_made_only_if_somebody_reads_them():
    bus = Bus()
    assert not bus.live_wanted
    with bus.subscribe(live=False) as facts:
        assert not bus.live_wanted
        with bus.subscribe() as all_events:
            assert bus.live_wanted
            bus.emit([event(Kind.NODE_STARTED), event()])
            assert len(all_events.take()) == 2
        assert not bus.live_wanted
        assert [e.kind for e in facts.take()] == [Kind.WORKFLOW_STARTED]


def test_slow_reader_loses_the_oldest_and_knows_how_many():
    bus = Bus()
    with bus.subscribe(limit=3) as events:
        bus.emit(event(node=str(i)) for i in range(5))

        assert [e.node for e in events.take()] == ["2", "3", "4"]
        assert events.missed == 2


def test_reader_that_left_gets_nothing():
    bus = Bus()
    with bus.subscribe() as events:
        pass
    bus.emit([event()])

    assert events.take() == []


async def test_waiting_reader_is_woken():
    bus = Bus()
    with bus.subscribe() as events:
        waiting = asyncio.create_task(events.wait())
        await asyncio.sleep(0)
        bus.emit([event(node="a")])

        assert [e.node for e in await asyncio.wait_for(waiting, 5)] == ["a"]


async def test_subscription_can_be_iterated():
    bus = Bus()
    with bus.subscribe() as events:
        bus.emit([event(node="a"), event(node="b")])
        seen = []
        async for e in events:
            seen.append(e.node)
            if len(seen) == 2:
                break

        assert seen == ["a", "b"]

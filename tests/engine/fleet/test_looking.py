"""Questions: what is found, and through which index."""

import pytest

from engine.fleet import looking, schema
from engine.fleet.query import EventQuery, Numbered

SECOND = 1_795_000_003_000_000


@pytest.fixture
async def many(fleet, fact, monkeypatch):
    """Eight segments of 64: 20 agents of 25 facts, of which each fifth failed; five workflows."""
    monkeypatch.setattr(schema, "SEGMENT_BITS", 6)
    for first in range(1, 26):
        await fleet.record(
            [
                fact(
                    first, "workflow.failed" if agent % 5 == 0 else "workflow.started", agent=f"a{agent}",
                    workflow=f"w{agent % 5}", execution=f"{first:03}-{agent:02}",
                )
                for agent in range(20)
            ]
        )  # fmt: skip
    return fleet


@pytest.mark.parametrize(
    ("query", "way"),
    [
        (EventQuery(agents=("a7",)), "USING COVERING INDEX events_track (segment=? AND track=?)"),
        (EventQuery(kinds=("workflow.failed",)), "USING COVERING INDEX events_kind (segment=? AND kind=?"),
        (EventQuery(statuses=("failed",)), "USING COVERING INDEX events_kind (segment=? AND kind=?"),
        (EventQuery(workflows=("w3",)), "USING COVERING INDEX events_kind (segment=? AND kind=? AND workflow=?"),
        (
            EventQuery(workflows=("w0",), kinds=("workflow.*",)),
            "USING COVERING INDEX events_kind (segment=? AND kind=? AND workflow=?",
        ),
        (EventQuery(executions=("003-07",)), "USING INDEX events_execution (segment=? AND tail=?"),
        (EventQuery(executions=("003-07", "004-01")), "USING INDEX events_execution (segment=? AND tail=?"),
        (
            EventQuery(since=1_795_000_003_000_000, until=1_795_000_004_000_000),
            "INDEX events_second (segment=? AND second>?",
        ),
        (EventQuery(agents=("a7",), kinds=("workflow.failed",)), "USING INDEX events_track (segment=? AND track=?"),
        (EventQuery(), "SCAN e"),
        (EventQuery(after=77), "SEARCH e USING INTEGER PRIMARY KEY (rowid>?)"),
    ],
)
async def test_a_question_takes_the_index_that_leaves_the_fewest_rows(many, query, way):
    def plan(db) -> list[str]:
        sql, arguments = looking._numbers(db, looking.select(db, query), query, "{first} DESC, {then} DESC LIMIT 10")
        return [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {sql}", arguments)]

    steps = await many._store.read(plan)
    assert any(way in step for step in steps), steps


async def test_what_would_match_half_of_the_file_is_found_by_going_through_it(many):
    query = EventQuery(agents=tuple(f"a{n}" for n in range(16)))
    choice = await many._store.read(lambda db: looking._choose(db, looking.select(db, query)))
    assert choice.index == ""


async def test_pages_go_both_ways_through_what_matches(many):
    async def numbers(**query) -> list[int]:
        return [numbered.number for numbered in await many.events(EventQuery(agents=("a7",), limit=4, **query))]

    everything = [numbered.number for numbered in await many.events(EventQuery(agents=("a7",)))]
    assert everything == list(range(8, 501, 20))
    back = page = await numbers()
    while page:
        page = await numbers(before=page[0])
        back = page + back
    forth, page = [], await numbers(after=0)
    while page:
        forth += page
        page = await numbers(after=page[-1])
    assert back == forth == everything


async def test_a_label_means_the_agents_that_have_it_now(many):
    await many.remember({f"a{n}": {"site": "berlin" if n % 2 else "paris", "arch": "arm"} for n in range(20)})

    async def count(*labels) -> int:
        return await many.count(EventQuery(labels=labels))

    assert await count(("arch", "arm")) == 500
    assert await count(("site", "berlin")) == 250
    assert await count(("site", "berlin"), ("arch", "arm")) == 250
    assert await count(("site", "berlin"), ("site", "paris")) == 0
    assert await many.count(EventQuery(labels=(("site", "berlin"),), agents=("a1", "a2"))) == 25
    await many.remember({"a1": {}})
    assert await count(("site", "berlin")) == 225


@pytest.mark.parametrize(
    "query",
    [
        EventQuery(agents=("x",)), EventQuery(workflows=("x",)), EventQuery(kinds=("x", "workflow")),
        EventQuery(statuses=("cancelled",)), EventQuery(executions=("x", "")), EventQuery(labels=(("a", "b"),)),
        EventQuery(limit=0), EventQuery(limit=-1), EventQuery(since=0, until=0), EventQuery(after=500),
        EventQuery(before=1), EventQuery(kinds=("workflow.started",), statuses=("failed",)),
    ],
)  # fmt: skip
async def test_what_nothing_matches_has_no_events(many, query):
    assert await many.events(query) == []


async def test_an_id_that_the_engine_made_finds_its_execution(fleet, fact):
    mine, other = "01k9zq3v5m8xtwpr2hjn4c6e7d", "01k9zq3v5m8xtwpr2hjn4c6e7f"
    await fleet.record([fact(1, execution=mine), fact(2, execution=other), fact(3, execution=mine), fact(4)])
    assert [n.event.seq for n in await fleet.events(EventQuery(executions=(mine,)))] == [1, 3]
    assert await fleet.events(EventQuery(executions=(other,))) == [Numbered(2, fact(2, execution=other))]

"""Whatever comes, in whatever order, as often as it likes: the file holds what a few lines of plain Python hold."""

import asyncio
import tempfile
import zlib
from collections import defaultdict
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.fleet import looking, schema
from engine.fleet.event import FleetEvent, Recorded
from engine.fleet.query import EventQuery, Grain, Numbered, StatsQuery
from engine.fleet.store import FleetRetention, FleetStore

NOW = 1_795_000_000_000_000
HOUR, MINUTE = 3_600_000_000, 60_000_000
KINDS = (
    "workflow.started", "node.completed", "node.failed", "node.retry", "workflow.completed", "workflow.failed",
    "workflow.cancelled", "outbox.dropped", "agent.new",
)  # fmt: skip
LABELS = {"a1": {"site": "x", "arch": "arm"}, "a2": {"site": "y", "arch": "arm"}}
FOREVER = FleetRetention(age=None, count=None, bytes=None)

Track = tuple[str, str]
numbers = st.integers(1, 14)
tracks = st.sampled_from([("a1", "e1"), ("a1", "e2"), ("a2", "e1"), ("a3", "e1")])


def fact_of(track: Track, seq: int, variant: int) -> FleetEvent:
    """The same for the same: a fact is what it is. Another variant is a conflict."""
    dice = zlib.crc32(repr((track, seq, variant)).encode())
    kind = KINDS[dice % len(KINDS)]
    status = kind.removeprefix("workflow.") if dice % 3 else "partial"
    data = {
        "status": status,
        "duration_seconds": dice % 1000 / 10,
        "epoch": track[1],
        "from": dice % 7,
        "to": dice % 17,
    }
    return FleetEvent(
        agent=track[0], epoch=track[1], seq=seq, time=NOW - dice % 5000 * 1_000_000, kind=kind,
        workflow=f"w{dice % 3}", execution="" if dice % 5 == 0 else f"x{dice % 7}", data=msgspec.json.encode(data),
    )  # fmt: skip


facts = st.builds(fact_of, tracks, numbers, st.sampled_from([0, 0, 0, 0, 0, 1]))
batches = st.tuples(st.just("record"), st.lists(facts, max_size=20))
losses = st.tuples(st.just("give up"), st.tuples(tracks, numbers, numbers))
counts = st.tuples(st.just("keep"), st.integers(0, 40))
ages = st.tuples(st.just("age"), st.integers(1000, 5000))
reopenings = st.tuples(st.just("reopen"), st.none())
stories = st.lists(batches | batches | batches | losses | counts | ages | reopenings, max_size=12)


def subset(values) -> st.SearchStrategy[tuple[str, ...]]:
    return st.just(()) | st.lists(st.sampled_from(values), max_size=2).map(tuple)


times = st.none() | st.integers(-1, 5001).map(lambda seconds: NOW - seconds * 1_000_000)
places = st.none() | st.integers(0, 60)
queries = st.builds(
    EventQuery,
    agents=subset(["a1", "a2", "a3", "nobody"]),
    workflows=subset(["w0", "w1", "w2", "none"]),
    kinds=subset([*KINDS, "workflow.*", "node.*", "agent.*", "node"]),
    executions=subset(["x1", "x2", "x3", "x"]),
    statuses=subset(["completed", "partial", "failed", "cancelled"]),
    labels=st.sampled_from([(), (), (("site", "x"),), (("arch", "arm"),), (("arch", "arm"), ("site", "y"))]),
    since=times,
    until=times,
    after=places,
    before=places,
    limit=st.integers(0, 30),
)


@dataclass
class Oracle:
    """What a recorder should hold."""

    events: list[Numbered] = field(default_factory=list)
    ever: list[FleetEvent] = field(default_factory=list)
    known: dict[tuple[Track, int], FleetEvent] = field(default_factory=dict)
    gone: set[tuple[Track, int]] = field(default_factory=set)
    last: dict[Track, int] = field(default_factory=lambda: defaultdict(int))
    conflicts: dict[Track, int] = field(default_factory=lambda: defaultdict(int))
    lost: dict[Track, set[int]] = field(default_factory=lambda: defaultdict(set))

    def record(self, batch: list[FleetEvent]) -> Recorded:
        new = duplicates = conflicts = 0
        dropped = []
        for event in batch:
            track, key = (event.agent, event.epoch), ((event.agent, event.epoch), event.seq)
            if key not in self.known:
                new += 1
                self.known[key] = event
                self.ever.append(event)
                self.events.append(Numbered(len(self.ever), event))
                self.last[track] = max(self.last[track], event.seq)
                self.lost[track].discard(event.seq)
                if event.kind == "outbox.dropped":
                    dropped.append(event)
            elif key in self.gone or self.known[key] == event:
                duplicates += 1
            else:
                conflicts += 1
                self.conflicts[track] += 1
        for event in dropped:
            data = msgspec.json.decode(event.data)
            self.give_up((event.agent, event.epoch), data["from"], min(data["to"], event.seq - 1))
        return Recorded(new=new, duplicates=duplicates, conflicts=conflicts)

    def missing(self, track: Track) -> set[int]:
        come = {seq for known, seq in self.known if known == track}
        return set(range(1, self.last.get(track, 0) + 1)) - come - self.lost[track]

    def give_up(self, track: Track, first: int, last: int) -> None:
        self.lost[track] |= self.missing(track) & set(range(first, last + 1))

    def keep(self, wanted) -> None:
        self.gone |= {((n.event.agent, n.event.epoch), n.event.seq) for n in self.events if not wanted(n)}
        self.events = [numbered for numbered in self.events if wanted(numbered)]

    def find(self, query: EventQuery) -> list[Numbered]:
        found = [numbered for numbered in self.events if matches(query, numbered)]
        if query.after is not None:
            return found[: query.limit]
        return found[-query.limit :] if query.limit else []

    def figures(self, grain: int) -> dict[tuple[int, str, str], list[FleetEvent]]:
        windows = defaultdict(list)
        for event in self.ever:
            windows[event.time // grain * grain, event.agent, event.workflow].append(event)
        return windows


def matches(query: EventQuery, numbered: Numbered) -> bool:
    event = numbered.event
    ends = event.kind in ("workflow.completed", "workflow.failed", "workflow.cancelled")
    return (
        (not query.agents or event.agent in query.agents)
        and (not query.workflows or event.workflow in query.workflows)
        and (not query.kinds or any(fnmatchcase(event.kind, pattern) for pattern in query.kinds))
        and (not query.executions or event.execution in query.executions)
        and (not query.statuses or (ends and msgspec.json.decode(event.data)["status"] in query.statuses))
        and all(LABELS.get(event.agent, {}).get(name) == value for name, value in query.labels)
        and (query.since is None or event.time >= query.since)
        and (query.until is None or event.time < query.until)
        and (query.after is None or numbered.number > query.after)
        and (query.before is None or numbered.number < query.before)
    )


class Clock:
    def now(self) -> int:
        return NOW

    def monotonic(self) -> float:
        return 0.0


@pytest.fixture(autouse=True, params=[0.0, 1.0, 1000.0], ids=["by index", "by cost", "row by row"])
def small_segments(request, monkeypatch):
    """Several segments, and each way to look through them."""
    monkeypatch.setattr(schema, "SEGMENT_BITS", 3)
    monkeypatch.setattr(looking, "SEEK", request.param)


async def live(store: FleetStore, oracle: Oracle, act: str, what) -> None:
    if act == "record":
        assert await store.record(what) == oracle.record(what)
    elif act == "give up":
        (track, first, last) = what
        oracle.give_up(track, first, last)
        for gap in await store.gaps(due=NOW):
            if (gap.agent, gap.epoch) == track:
                await store.give_up(gap, first, last, "gone")
    elif act == "keep":
        newest = {numbered.number for numbered in oracle.events[len(oracle.events) - what :]} if what else set()
        if what < len(oracle.events):
            oracle.keep(lambda numbered: numbered.number in newest)
        await store.tidy(msgspec.structs.replace(FOREVER, count=what))
    elif act == "age":
        oracle.keep(lambda numbered: numbered.event.time >= NOW - what * 1_000_000)
        await store.tidy(msgspec.structs.replace(FOREVER, age=float(what)))


async def run(story, asked: list[EventQuery]) -> None:
    oracle = Oracle()
    with tempfile.TemporaryDirectory() as folder:
        async with AsyncExitStack() as stack:
            store = await stack.enter_async_context(FleetStore.open(Path(folder) / "f.db", clock=Clock()))
            await store.remember(LABELS)
            for act, what in story:
                if act == "reopen":
                    await stack.aclose()
                    store = await stack.enter_async_context(FleetStore.open(Path(folder) / "f.db", clock=Clock()))
                await live(store, oracle, act, what)
            await compare(store, oracle)
            for query in asked:
                assert await store.events(query) == oracle.find(query)
                everything = msgspec.structs.replace(query, limit=10**6)
                assert await store.count(query) == len(oracle.find(everything))


async def compare(store: FleetStore, oracle: Oracle) -> None:
    assert await store.events(EventQuery(limit=1000)) == oracle.events
    assert await store.newest() == len(oracle.ever)
    tracks = {(track.agent, track.epoch): track for track in await store.tracks()}
    assert set(tracks) == set(oracle.last)
    gaps = defaultdict(list)
    for gap in await store.gaps(limit=1000):
        gaps[gap.agent, gap.epoch, bool(gap.lost)] += range(gap.first, gap.last + 1)
    for key, track in tracks.items():
        come = [seq for known, seq in oracle.known if known == key]
        assert (track.first_seq, track.last_seq, track.events) == (min(come), max(come), len(come))
        assert track.last_time == oracle.known[key, max(come)].time
        assert track.conflicts == oracle.conflicts[key]
        assert sorted(gaps[*key, False]) == sorted(oracle.missing(key))
        assert sorted(gaps[*key, True]) == sorted(oracle.lost[key])
        assert (track.missing, track.lost) == (len(oracle.missing(key)), len(oracle.lost[key]))
    for grain, unit in ((Grain.MINUTE, MINUTE), (Grain.HOUR, HOUR)):
        windows = await store.stats(StatsQuery(grain=grain, since=0, until=NOW + HOUR))
        expected = oracle.figures(unit)
        assert [(window.start, window.agent, window.workflow) for window in windows] == sorted(expected)
        for window in windows:
            check_window(window, expected[window.start, window.agent, window.workflow])
        together = defaultdict(list)
        for (start, _, workflow), events in expected.items():
            together[start, workflow] += events
        windows = await store.stats(StatsQuery(grain=grain, since=0, until=NOW + HOUR, by_agent=False))
        assert [(window.start, window.workflow) for window in windows] == sorted(together)
        for window in windows:
            check_window(window, together[window.start, window.workflow])


def check_window(window, events: list[FleetEvent]) -> None:
    def count(kind: str) -> int:
        return sum(event.kind == kind for event in events)

    ends = [
        msgspec.json.decode(event.data) for event in events
        if event.kind.startswith("workflow.") and event.kind != "workflow.started"
    ]  # fmt: skip
    statuses = [end["status"] for end in ends]
    assert (window.events, window.started) == (len(events), count("workflow.started"))
    assert (window.node_failures, window.retries) == (count("node.failed"), count("node.retry"))
    for status in ("completed", "partial", "failed", "cancelled"):
        assert getattr(window, status) == statuses.count(status)
    durations = sorted(end["duration_seconds"] for end in ends)
    if not durations:
        assert (window.mean, window.p50, window.p95, window.p99, window.longest) == (None,) * 5
        return
    assert window.mean == pytest.approx(sum(durations) / len(durations))
    assert window.longest == pytest.approx(durations[-1])
    for q, told in ((0.5, window.p50), (0.95, window.p95), (0.99, window.p99)):
        assert told == pytest.approx(durations[int(q * (len(durations) - 1))], rel=0.02, abs=1e-6)


@settings(max_examples=30, deadline=None)
@given(stories, st.lists(queries, max_size=8))
def test_a_file_holds_what_an_oracle_holds(story, asked):
    asyncio.run(run(story, asked))

"""A trigger with `count`, over groups, late events and restarts, against one that counts everything again each time."""

from collections import defaultdict

from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.definition.fleet import FleetTrigger
from engine.fleet.event import FleetEvent
from engine.fleet.query import Numbered
from engine.triggers.fleet.counting import Counting
from engine.triggers.fleet.telling import Seen

W, LATE, LEAST, START = 10, 25, 3, 1_000_000
TRIGGER = FleetTrigger(
    kind="workflow.failed", count=LEAST, within=float(W), lateness=float(LATE), group_by="agent.labels.site"
)
LABELS = {"a": {"site": "x"}, "b": {"site": "x"}, "c": {"site": "y"}, "d": {}}

arrivals = st.lists(
    st.tuples(st.sampled_from("abcd"), st.integers(0, 4), st.integers(-3, 45), st.sampled_from([False] * 9 + [True])),
    min_size=1,
    max_size=70,
)
"""(agent, seconds that pass before it comes, how late it is, whether the process starts again before)"""


class Naive:
    """Knows every second of every group."""

    def __init__(self) -> None:
        self.times: dict[str | None, list[int]] = defaultdict(list)
        self.started: dict[str | None, list[int]] = defaultdict(list)

    def count(self, group: str | None, moment: int) -> int:
        return sum(moment - W < time <= moment for time in self.times[group])

    def stretch(self, group: str | None, moment: int) -> tuple[int, int]:
        """All the time around a moment in which there were enough."""
        first = last = moment
        while self.count(group, first - 1) >= LEAST:
            first -= 1
        while self.count(group, last + 1) >= LEAST:
            last += 1
        return first, last

    def take(self, group: str | None, time: int, now: int) -> int | None:
        """The end of the window that starts an execution."""
        since, time = now - LATE, min(time, now)
        if time <= since - W:
            return None
        self.times[group].append(time)
        chosen = None
        for end in sorted({one for one in self.times[group] if time <= one < time + W and one >= since}):
            if self.count(group, end) < LEAST:
                continue
            first, last = self.stretch(group, end)
            if not any(first <= moment <= last for moment in self.started[group]):
                self.started[group].append(end)
                chosen = end if chosen is None else chosen
        return chosen


def restarted(counting: Counting, states: dict[str, bytes], events: list[Numbered], now: int) -> Counting:
    for key, state in counting.states().items():
        if state is None:
            states.pop(key, None)
        else:
            states[key] = state
    again = Counting(TRIGGER, {}, begun=0)
    again.restore(states)
    for numbered in events:
        if numbered.event.time >= again.wanted_since(now):
            again.remember(Seen(numbered, LABELS), now)
    return again


@settings(max_examples=300, deadline=None)
@given(arrivals)
# The last one fills two windows, of which the second joins the first to a stretch that has fired.
@example([("a", 0, late, False) for late in (5, 11, 1, 0)] + [("a", 0, 2, False)])
def test_it_starts_what_a_naive_count_starts(arrivals: list[tuple[str, int, int, bool]]) -> None:
    naive, counting = Naive(), Counting(TRIGGER, {}, begun=0)
    states: dict[str, bytes] = {}
    events: list[Numbered] = []
    now = START
    for number, (agent, passed, late, restarts) in enumerate(arrivals, 1):
        now += passed
        if restarts:
            counting = restarted(counting, states, events, now * 1_000_000)
        if number % 7 == 0:
            counting.tidy(now * 1_000_000)
        # A clock that is ahead is not believed; here it has caught up with by the next look.
        time = min(now - late, now)
        event = FleetEvent(agent=agent, epoch="0", seq=number, time=time * 1_000_000, kind="workflow.failed")
        events.append(Numbered(number, event))
        counted = counting.take(Seen(events[-1], LABELS), now * 1_000_000)
        expected = naive.take(LABELS[agent].get("site"), time, now)
        assert (None if counted is None else counted.crossing.end) == (
            None if expected is None else expected * 1_000_000
        )
        if counted is not None:
            assert counted.crossing.count == naive.count(LABELS[agent].get("site"), counted.crossing.end // 1_000_000)

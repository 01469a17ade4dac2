"""Silence and speech by a clock that the test holds; no clock of any agent matters."""

from collections.abc import Callable

import pytest

from mesh.presence.attendance import Attendance, Change
from mesh.presence.beat import Beat, State
from mesh.presence.bucket import Entry, Listing
from mesh.presence.members import Standing

UP, LOST, STOPPED = Standing.UP, Standing.LOST, Standing.STOPPED
SERVER = 5_000_000.0


def moves(changes: list[Change]) -> list[tuple[str, Standing | None, Standing]]:
    return [(change.beat.agent, change.was, change.now) for change in changes]


@pytest.fixture
def attendance() -> Attendance:
    attendance = Attendance()
    attendance.linked(100.0)
    return attendance


def test_an_agent_is_lost_after_three_beats_and_comes_back(attendance: Attendance, beat: Callable[..., Beat]) -> None:
    assert moves(attendance.heard(beat(every=5.0), 1, 100.0)) == [("pi-1", None, UP)]
    assert attendance.heard(beat(every=5.0), 2, 105.0) == []
    assert attendance.silence(120.0) == []
    [change] = attendance.silence(120.1)
    assert (change.was, change.now, change.silent_seconds) == (UP, LOST, pytest.approx(15.1))
    assert attendance.silence(500.0) == []
    assert moves(attendance.heard(beat(every=5.0), 3, 501.0)) == [("pi-1", LOST, UP)]


def test_an_agent_whose_clock_is_an_hour_wrong_is_there(attendance: Attendance, beat: Callable[..., Beat]) -> None:
    early, late = beat(time="1999-01-01T00:00:00Z"), beat(time="2099-01-01T00:00:00Z")
    for second in range(20):
        attendance.heard(early if second % 2 else late, second + 1, 100.0 + second)
        assert attendance.silence(100.9 + second) == []
    assert [member.state for member in attendance.members(119.5)] == [UP]


def test_who_stopped_is_never_lost(attendance: Attendance, beat: Callable[..., Beat]) -> None:
    attendance.heard(beat(), 1, 100.0)
    assert moves(attendance.heard(beat(state=State.STOPPED), 2, 101.0)) == [("pi-1", UP, STOPPED)]
    assert attendance.silence(10_000.0) == []
    assert [member.state for member in attendance.members(10_000.0)] == [STOPPED]


def test_silence_does_not_count_while_nobody_can_be_heard(attendance: Attendance, beat: Callable[..., Beat]) -> None:
    attendance.heard(beat(), 1, 100.0)
    attendance.unlinked(101.0)
    assert attendance.silence(200.0) == []
    assert [member.state for member in attendance.members(200.0)] == [UP]
    attendance.linked(200.0)
    before = attendance.sequences()
    attendance.listed(Listing([Entry(beat(), 1, SERVER - 100)], SERVER), before, 200.0)
    assert attendance.silence(202.9) == []
    assert moves(attendance.silence(203.1)) == [("pi-1", UP, LOST)]


def test_who_is_only_read_of_has_three_beats_to_speak(attendance: Attendance, beat: Callable[..., Beat]) -> None:
    found = Listing([Entry(beat("old"), 1, SERVER - 900), Entry(beat("new"), 2, SERVER - 1)], SERVER)
    assert moves(attendance.listed(found, {}, 101.0)) == [("new", None, UP)]
    assert [member.state for member in attendance.members(101.0)] == [UP, LOST]
    assert moves(attendance.heard(beat("new"), 3, 102.0)) == []
    assert attendance.silence(102.9) == []
    assert moves(attendance.silence(103.1)) == [("old", None, LOST)]


def test_the_list_makes_up_for_a_beat_that_was_missed(attendance: Attendance, beat: Callable[..., Beat]) -> None:
    attendance.heard(beat(), 1, 100.0)
    attendance.silence(104.0)
    found = Listing([Entry(beat(last_seq=9), 5, SERVER - 0.5)], SERVER)
    assert moves(attendance.listed(found, {"pi-1": 1}, 105.0)) == [("pi-1", LOST, UP)]
    assert [(member.beat.last_seq, member.age_seconds) for member in attendance.members(105.0)] == [(9, 0.5)]


def test_what_came_while_the_list_was_read_is_newer_than_the_list(
    attendance: Attendance, beat: Callable[..., Beat]
) -> None:
    attendance.heard(beat(last_seq=1), 1, 100.0)
    before = attendance.sequences()
    attendance.heard(beat(last_seq=2), 2, 100.5)
    attendance.listed(Listing([Entry(beat(last_seq=1), 1, SERVER)], SERVER), before, 100.6)
    assert [known.last_seq for known in attendance.beats()] == [2]


def test_a_server_that_came_back_with_an_older_store_is_believed(
    attendance: Attendance, beat: Callable[..., Beat]
) -> None:
    attendance.heard(beat(last_seq=9), 90, 100.0)
    found = Listing([Entry(beat(last_seq=1), 4, SERVER - 60)], SERVER)
    assert attendance.listed(found, attendance.sequences(), 100.5) == []
    assert attendance.heard(beat(last_seq=10), 5, 101.0) == []
    assert [known.last_seq for known in attendance.beats()] == [10]
    assert attendance.silence(103.9) == []


def test_an_agent_whose_key_was_removed_is_forgotten(attendance: Attendance, beat: Callable[..., Beat]) -> None:
    attendance.heard(beat("a"), 1, 100.0)
    attendance.heard(beat("b"), 2, 100.0)
    before = attendance.sequences()
    attendance.heard(beat("c"), 3, 100.0)
    attendance.listed(Listing([Entry(beat("a"), 1, SERVER)], SERVER), before, 100.1)
    assert [member.beat.agent for member in attendance.members(100.1)] == ["a", "c"]


def test_an_agent_that_comes_back_with_other_labels_is_told(attendance: Attendance, beat: Callable[..., Beat]) -> None:
    attendance.heard(beat(labels={"site": "a"}), 1, 100.0)
    assert attendance.heard(beat(labels={"site": "a"}), 2, 101.0) == []
    [change] = attendance.heard(beat(labels={"site": "b"}), 3, 102.0)
    assert (change.was, change.now, change.beat.labels) == (UP, UP, {"site": "b"})
    assert attendance.heard(beat(labels={"site": "b"}), 4, 103.0) == []

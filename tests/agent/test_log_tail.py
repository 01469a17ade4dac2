"""Log lines that are kept for who asks from afar."""

import logging
from collections.abc import Iterator

import pytest

from agent.log_tail import KEPT_CHARACTERS, KEPT_LINES, LogQuery, LogTail, kept_tail
from engine.control import Refused
from engine.values import encode_json


@pytest.fixture
def tail() -> Iterator[LogTail]:
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.DEBUG)
    with kept_tail(lambda: [("TOKEN", "hunter22")]) as tail:
        yield tail
    root.setLevel(level)


LOG = logging.getLogger("ganglion.test")


def said(tail: LogTail, **query: object) -> list[str]:
    return [line.message for line in tail.since(LogQuery(**query), "edge").lines]  # type: ignore[arg-type]


def test_the_newest_lines_come_oldest_first(tail: LogTail) -> None:
    for number in range(5):
        LOG.info("line %d", number)
    assert said(tail, limit=2) == ["line 3", "line 4"]
    assert said(tail, limit=0) == []


def test_a_follower_gets_every_line_once_and_in_order(tail: LogTail) -> None:
    LOG.info("first")
    seen = tail.since(LogQuery(limit=10), "edge")
    for number in range(25):
        LOG.info("line %d", number)
    followed: list[str] = []
    while (answer := tail.since(LogQuery(after=seen.last, run=seen.run, limit=10), "edge")).lines:
        followed += [line.message for line in answer.lines]
        seen = answer
    assert followed == [f"line {number}" for number in range(25)]
    assert answer.missed == 0


def test_a_level_leaves_out_the_rest_and_the_cursor_passes_it(tail: LogTail) -> None:
    LOG.warning("low water")
    LOG.info("chatter")
    found = tail.since(LogQuery(level="warning"), "edge")
    assert ([line.message for line in found.lines], found.last) == (["low water"], 2)
    LOG.info("more")
    assert tail.since(LogQuery(level="warning", after=found.last, run=found.run), "edge").last == 3
    with pytest.raises(Refused, match="level loud: expected one of debug"):
        tail.since(LogQuery(level="loud"), "edge")


def test_what_was_missed_is_counted(tail: LogTail) -> None:
    for number in range(KEPT_LINES + 30):
        LOG.info("line %d", number)
    answer = tail.since(LogQuery(after=10, limit=5), "edge")
    assert (answer.missed, answer.lines[0].number, answer.last) == (20, 31, 35)


def test_another_run_begins_anew(tail: LogTail) -> None:
    LOG.info("one")
    assert said(tail, after=500, run="another") == ["one"]
    assert said(tail, after=500) == []


def test_memory_and_answers_are_bounded(tail: LogTail) -> None:
    for _ in range(300):
        LOG.info("x" * 20_000, extra={"fields": {"big": "y" * 20_000}})
    assert sum(len(line.message) for _, line, _ in tail._lines) <= KEPT_CHARACTERS
    assert len(encode_json(tail.since(LogQuery(limit=1000), "edge"))) < 300_000
    first = tail.since(LogQuery(after=0, limit=1000), "edge")
    then = tail.since(LogQuery(after=first.last, limit=1000), "edge")
    assert then.lines[0].number == first.lines[-1].number + 1


def test_secrets_are_masked_wherever_they_stand(tail: LogTail) -> None:
    try:
        raise ValueError("hunter22")
    except ValueError:
        LOG.exception("it is hunter22", extra={"fields": {"a": "hunter22", "b": {"deep": ["hunter22"]}}})
    text = encode_json(tail.since(LogQuery(), "edge")).decode()
    assert "hunter22" not in text
    assert text.count("[secret TOKEN]") >= 4


def test_whatever_is_logged_can_be_answered(tail: LogTail) -> None:
    fields = {
        "half": "\ud800", "huge": 10**400, "nan": float("nan"), "odd": object(), "deep": ["\ud800"], "no": None, "n": 3,
    }  # fmt: skip
    # Straight into the tail: what runs tests side by side can't carry half a character in a captured log.
    tail.handle(LOG.makeRecord(LOG.name, logging.INFO, "", 0, "half \ud800", (), None, extra={"fields": fields}))
    [line] = tail.since(LogQuery(), "edge").lines
    assert (line.fields["n"], line.fields["no"]) == (3, None)
    encode_json(tail.since(LogQuery(), "edge"))

"""Who said what, as people see it."""

from rich.console import Console

from agent.cli.transcript import LONG, MAX_LINES, conversations, transcript_table
from engine.control.views import BodyInfo, NodeInfo


def printed(entries, **options) -> list[str]:
    console = Console(width=300)
    with console.capture() as capture:
        console.print(transcript_table(entries, **options))
    return [line.rstrip() for line in capture.get().splitlines()]


def test_each_thing_that_was_said_has_a_line():
    call = {"id": "c1", "name": "set_relay", "arguments": {"id": "r1", "state": "on"}}
    assert printed(
        [
            {"role": "system", "content": "Be careful."},
            {"role": "user", "content": "Cool it."},
            {"role": "assistant", "content": '{"tool":"set_relay"}', "calls": [call]},
            {"role": "approval", "content": "allowed by anna", "tool": "set_relay", "call": "c1"},
            {"role": "tool", "content": '{"state":"on"}', "tool": "set_relay", "call": "c1"},
            {"role": "assistant", "content": "I look again.", "calls": [call]},
            {"role": "assistant", "content": "It is on.\x1b[31m"},
        ]
    ) == [
        "system     Be careful.",
        "goal       Cool it.",
        'model      set_relay {"id":"r1","state":"on"}',
        "person     allowed by anna",
        'set_relay  {"state":"on"}',
        "model      I look again.",
        'model      set_relay {"id":"r1","state":"on"}',
        "model      It is on.�[31m",
    ]


def test_what_is_long_is_cut_unless_the_whole_is_wanted():
    entries = [{"role": "assistant", "content": f"{n} " + "x" * 2 * LONG} for n in range(2 * MAX_LINES)]
    cut = printed(entries[:1])
    assert "… (802 characters)" in cut[-1]
    assert "".join(printed(entries[:1], whole=True)).count("x") == 2 * LONG
    short = printed([{"role": "assistant", "content": str(n)} for n in range(2 * MAX_LINES)])
    assert len(short) == MAX_LINES + 1
    assert short[4].split(None, 1) == ["…", "40 more lines: --all"]
    assert short[-1].split() == ["model", str(2 * MAX_LINES - 1)]


def test_conversations_are_found_at_any_depth():
    inner = _node("outer[0]/act", transcript=[{"role": "user", "content": "Go."}])
    body = BodyInfo(path="outer[0]", status="running", started_at=None, finished_at=None, duration=None, nodes=[inner])
    assert [node.path for node in conversations([_node("first"), _node("outer", bodies=[body])])] == ["outer[0]/act"]


def _node(path, **more) -> NodeInfo:
    return NodeInfo(
        path=path, type="?", status="running", attempt=1, started_at=None, finished_at=None, duration=None, needs=[],
        **more,
    )  # fmt: skip

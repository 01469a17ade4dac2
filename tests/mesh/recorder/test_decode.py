"""What anybody may have written as a fact."""

import pytest

from engine.events import Kind
from engine.fleet.event import FleetEvent
from mesh.recorder.decode import Malformed, decode


def test_a_fact_is_read_as_it_was_told(wire):
    subject, body = wire("pi-1", 7, kind=Kind.NODE_FAILED, version=3, node="scan[1]/fetch", time=1_795_000_000_123_456)

    assert decode(body, "default", subject=subject) == FleetEvent(
        agent="pi-1", epoch="e1", seq=7, time=1_795_000_000_123_456, kind="node.failed", workflow="cold-chain",
        version=3, execution="x", node="scan[1]/fetch", data=b'{"a":1}',
    )  # fmt: skip


def test_what_a_newer_agent_adds_is_left_out(wire, changed):
    _, body = wire("pi-1", 7)
    newer = decode(changed(body, type="ganglion.workflow.dreamt", traceparent="00-1"), "default")

    assert newer.kind == "workflow.dreamt"


def test_a_fact_about_the_agent_itself_has_no_workflow(wire):
    subject, body = wire("pi-1", 7, workflow="_", execution="", kind=Kind.AGENT_STARTED, data={})

    assert decode(body, "default", subject=subject).workflow == "_"


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"specversion": "2.0"}, "specversion"),
        ({"source": "/ganglion/other/pi-1"}, "does not belong here"),
        ({"source": "/ganglion/default/pi-2"}, "does not belong here"),
        ({"source": "/ganglion/default/pi-1/x"}, "source"),
        ({"type": "com.example.order"}, "type"),
        ({"type": "ganglion." + "x" * 80}, "type"),
        ({"type": "ganglion.workflow.failed"}, "does not belong here"),
        ({"workflow": "other"}, "does not belong here"),
        ({"workflow": "Cold Chain"}, "workflow"),
        ({"id": "pi-1/e1/8"}, "its id"),
        ({"id": None}, "id"),
        ({"sequence": "0"}, "sequence"),
        ({"sequence": "-1"}, "sequence"),
        ({"sequence": "07"}, "sequence"),
        ({"sequence": "9" * 19}, "sequence"),
        ({"sequence": 7}, "sequence"),
        ({"epoch": "e" * 65}, "epoch"),
        ({"epoch": "e1\n"}, "epoch"),
        ({"time": "yesterday"}, "time"),
        ({"time": "2026-11-18T11:06:40"}, "time"),
        ({"time": "1969-11-18T11:06:40Z"}, "before 1970"),
        ({"subject": "x" * 129}, "subject"),
        ({"subject": "\u001b[2J"}, "subject"),
        ({"node": "a\nb"}, "node"),
        ({"node": "n" * 1025}, "node"),
        ({"version": -1}, "version"),
        ({"version": "3"}, "version"),
        ({"data": [1]}, "not a JSON object"),
        ({"data": "text"}, "not a JSON object"),
        ({"data": {"text": "x" * 65_536}}, "more than 65536"),
        ({"data": {"big": 2**64}}, "64 bits"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_and_says_why(wire, changed, attributes, reason):
    subject, body = wire("pi-1", 7)

    with pytest.raises(Malformed, match=reason):
        decode(changed(body, **attributes), "default", subject=subject)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"specversion":"1.0","data":' + b'{"a":' * 50_000,
        b'{"specversion":"1.0","data":' + b"[" * 16_000 + b"]" * 16_000 + b"}",
        b'{"x":"' + b"a" * 100_000 + b'"}',
    ],
)
def test_bytes_that_are_no_event_are_refused(body):
    with pytest.raises(Malformed):
        decode(body, "default")


def test_text_that_is_not_utf8_in_the_data_is_refused(wire):
    _, body = wire("pi-1", 7, data={"a": "xx"})

    with pytest.raises(Malformed):
        decode(body.replace(b"xx", b"\xff\xff"), "default")

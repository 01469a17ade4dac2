import base64

import pytest
from nats.js.errors import APIError

from mesh import streams
from mesh.connection import Link
from mesh.errors import StreamConflict
from mesh.jetstream import last_message, stream_info
from mesh.streams import Limits

pytestmark = pytest.mark.nats
LIMITS = Limits()


async def test_streams_are_made_once_and_then_left_alone(link: Link) -> None:
    for _ in range(2):
        triggers = await streams.ensure_triggers(link.nc, "default", LIMITS)
        events = await streams.ensure_events(link.nc, LIMITS)
        intake = await streams.ensure_intake(link.nc, {"sensors.*.temperature", "doors.>"}, LIMITS)
    assert triggers.config["subjects"] == ["ganglion.trigger.default.>"]
    assert (triggers.config["retention"], triggers.config["discard"]) == ("workqueue", "new")
    assert (events.config["persist_mode"], events.config["retention"]) == ("async", "limits")
    assert intake is not None
    assert intake.config["subjects"] == ["doors.>", "sensors.*.temperature"]
    for info in (triggers, events, intake):
        assert (info.config["storage"], info.config["duplicate_window"]) == ("file", 100_000_000)
        assert info.created


async def test_limits_and_subjects_follow_and_what_others_set_stays(link: Link) -> None:
    await streams.ensure_intake(link.nc, {"a.>"}, LIMITS)
    config = (await link.js.stream_info("GANGLION_INTAKE")).config
    await link.js.update_stream(config.evolve(description="mine"))
    info = await streams.ensure_intake(link.nc, {"a.>", "b"}, Limits(intake_bytes=1000))
    assert info is not None
    assert (info.config["description"], info.config["max_bytes"]) == ("mine", 1000)
    assert info.config["subjects"] == ["a.>", "b"]


async def test_triggers_of_another_tenant_stay(link: Link) -> None:
    await streams.ensure_triggers(link.nc, "blue", LIMITS)
    info = await streams.ensure_triggers(link.nc, "default", LIMITS)
    assert info.config["subjects"] == ["ganglion.trigger.blue.>", "ganglion.trigger.default.>"]


async def test_without_subjects_there_is_no_intake_but_messages_are_never_dropped(link: Link) -> None:
    assert await streams.ensure_intake(link.nc, set(), LIMITS) is None
    await streams.ensure_intake(link.nc, {"a"}, LIMITS)
    await link.js.publish("a", b"kept")
    assert await streams.ensure_intake(link.nc, set(), LIMITS) is not None
    await link.js.purge_stream("GANGLION_INTAKE")
    assert await streams.ensure_intake(link.nc, set(), LIMITS) is None
    assert await stream_info(link.nc, "GANGLION_INTAKE") is None


async def test_a_stream_in_the_way_is_named(link: Link) -> None:
    await link.js.add_stream(name="SENSORS", subjects=["sensors.>"])
    with pytest.raises(StreamConflict, match=r"sensors.\*.temperature is kept by the stream SENSORS.*stream: SENSORS"):
        await streams.ensure_intake(link.nc, {"doors", "sensors.*.temperature"}, LIMITS)


async def test_an_existing_stream_of_another_kind_is_refused_with_the_reason(link: Link) -> None:
    await link.js.add_stream(name="GANGLION_INTAKE", subjects=["a"], storage="memory")
    with pytest.raises(StreamConflict, match=r"GANGLION_INTAKE can't be made as needed.*storage"):
        await streams.ensure_intake(link.nc, {"a"}, LIMITS)


async def test_a_full_intake_refuses_the_publisher(link: Link) -> None:
    await streams.ensure_intake(link.nc, {"a"}, Limits(intake_bytes=200))
    await link.js.publish("a", b"x" * 100)
    with pytest.raises(APIError, match="maximum bytes exceeded"):
        await link.js.publish("a", b"x" * 100)


async def test_the_last_message_of_a_subject_is_found(link: Link) -> None:
    await streams.ensure_events(link.nc, LIMITS)
    assert await last_message(link.nc, "GANGLION_EVENTS", "ganglion.event.default.edge.>") is None
    await link.js.publish("ganglion.event.default.edge.x", b"1", headers={"Nats-Msg-Id": "edge/1/1"})
    await link.js.publish("ganglion.event.default.other.x", b"1")
    stored = await last_message(link.nc, "GANGLION_EVENTS", "ganglion.event.default.edge.>")
    assert stored is not None
    assert (stored.subject, stored.seq) == ("ganglion.event.default.edge.x", 1)


async def test_the_last_message_is_found_by_a_request_that_names_its_subject(link: Link) -> None:
    await streams.ensure_events(link.nc, LIMITS)
    newest = "ganglion.event.default.edge.>"
    assert await last_message(link.nc, "GANGLION_EVENTS", newest, direct=True) is None
    for number in (1, 2):
        await link.nc.request("ganglion.event.default.edge.w.x", b"{}", headers={"Nats-Msg-Id": f"edge/e/{number}"})
    stored = await last_message(link.nc, "GANGLION_EVENTS", newest, direct=True)
    assert stored is not None
    assert stored.seq == 2
    assert b"Nats-Msg-Id: edge/e/2" in base64.b64decode(stored.hdrs)

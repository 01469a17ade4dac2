from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.definition.model import At, BodyFormat, Capture, CronTrigger, Deliver, NatsTrigger, Trigger, Workflow
from engine.subjects import matches
from engine.triggers.message import Message
from engine.triggers.routes import External, Plain, Routes, Undeliverable

patterns = st.tuples(st.lists(st.sampled_from(["a", "b", "*"]), max_size=3), st.sampled_from(["a", "b", "*", ">"])).map(
    lambda parts: ".".join([*parts[0], parts[1]])
)
subjects = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=5).map(".".join)


def routes(**triggers: list[str | Trigger]) -> Routes:
    def made(one: str | Trigger) -> Trigger:
        return NatsTrigger(subject=one) if isinstance(one, str) else one

    return Routes(
        [(name, 1, Workflow(name=name, triggers=tuple(map(made, found)))) for name, found in triggers.items()],
        agent="here",
        tenant="shop",
    )


def came(subject: str, **how: Any) -> Message:
    return Message(**{"subject": subject, "body": b"", "received_at": 0, **how})


def found(table: Routes, subject: str, stream: str = "GANGLION_INTAKE", workflow: str = "", **how: Any) -> list[str]:
    message = came(subject, stream=stream, workflow=workflow, **how)
    return [match.active.name for match in table.find(message)]


def test_a_message_starts_every_workflow_that_wants_it() -> None:
    table = routes(exact=["a.b"], star=["a.*"], tail=["a.>"], other=["b.*"], clock=[CronTrigger(schedule="@daily")])
    assert found(table, "a.b") == ["exact", "star", "tail"]
    assert found(table, "a.b.c") == ["tail"]
    assert found(table, "c") == []


def test_of_several_triggers_that_match_the_first_in_the_file_wins() -> None:
    text = NatsTrigger(subject="a.*", format=BodyFormat.TEXT)
    for triggers in ([text, "a.b", "a.>"], ["a.b", text]):
        table = routes(w=triggers)
        [match] = table.find(Message(subject="a.b", body=b"", received_at=0, stream="S"))
        assert match.trigger is table.active["w"].workflow.triggers[0]


@given(st.dictionaries(st.sampled_from("uvwxyz"), st.lists(patterns, max_size=3)), subjects)
def test_finding_agrees_with_matching(table: dict[str, list[str]], subject: str) -> None:
    made = routes(**table)
    expected = [name for name, wanted in table.items() if any(matches(pattern, subject) for pattern in wanted)]
    assert found(made, subject) == expected
    assert found(made, subject) == expected, "remembered"


def test_a_wildcard_in_a_published_subject_costs_nothing() -> None:
    stars = ".".join("*" * 60)
    assert found(routes(w=[stars]), stars) == ["w"]


def test_a_message_comes_by_the_lane_of_its_trigger_only() -> None:
    table = routes(
        intake=["a.*"],
        core=[NatsTrigger(subject="a.*", capture=Capture.CORE)],
        shared=[NatsTrigger(subject="a.*", stream="ORDERS")],
        other=[NatsTrigger(subject="a.b", stream="ORDERS")],
    )
    assert found(table, "a.b") == ["intake"]
    assert found(table, "a.b", stream="") == ["core"]
    assert found(table, "a.b", stream="ORDERS") == ["shared", "other"]
    assert found(table, "a.b", stream="ORDERS", workflow="other") == ["other"]
    assert found(table, "a.b", stream="*") == ["intake", "core", "shared", "other"]


def test_what_is_subscribed_is_a_disjoint_cover_of_each_lane() -> None:
    table = routes(
        one=["a.*.c", "a.b.*", "x"],
        two=["x", NatsTrigger(subject="q.>", capture=Capture.CORE), NatsTrigger(subject="q.r", capture=Capture.CORE)],
        three=[NatsTrigger(subject=subject, stream="S") for subject in ("o.1", "o.*", "p")],
        four=[NatsTrigger(subject="o.1", stream="S")],
    )
    assert table.intake_subjects == ("a.*.*", "x")
    assert table.core_subjects == ("q.>",)
    assert table.externals == (External("four", "S", ("o.1",)), External("three", "S", ("o.*", "p")))


def test_a_stream_of_the_hub_is_told_from_one_of_the_same_name_here() -> None:
    table = routes(
        here=[NatsTrigger(subject="a.*", stream="ORDERS")],
        there=[NatsTrigger(subject="a.*", stream="ORDERS", at=At.HUB)],
        own=["a.*"],
    )
    assert table.externals == (External("here", "ORDERS", ("a.*",)), External("there", "ORDERS", ("a.*",), At.HUB))
    assert found(table, "a.b", "ORDERS", at=At.OWN) == ["here"]
    assert found(table, "a.b", "ORDERS", at=At.HUB) == ["there"]
    assert found(table, "a.b", "ORDERS") == ["here", "there"]
    assert found(table, "a.b", "OTHER", at=At.HUB) == []


def test_what_one_gets_and_what_all_get_is_asked_for_apart() -> None:
    table = routes(
        one=[NatsTrigger(subject="a.*", stream="S")],
        all=[NatsTrigger(subject="a.*", stream="S", deliver=Deliver.ALL), NatsTrigger(subject="b", stream="S")],
        core=[
            NatsTrigger(subject="q.*", capture=Capture.CORE),
            NatsTrigger(subject="q.1", capture=Capture.CORE),
            NatsTrigger(subject="r", capture=Capture.CORE, deliver=Deliver.ALL),
        ],
    )
    assert table.externals == (
        External("all", "S", ("a.*",), At.OWN, Deliver.ALL),
        External("all", "S", ("b",)),
        External("one", "S", ("a.*",)),
    )
    assert table.plain == (Plain("r", "core", Deliver.ALL), Plain("q.*", "core", Deliver.ONE))
    assert found(table, "a.1", "S", "all", deliver=Deliver.ALL) == ["all"]
    assert found(table, "a.1", "S", "all", deliver=Deliver.ONE) == []
    assert found(table, "a.1", "S", "one", deliver=Deliver.ONE) == ["one"]
    assert found(table, "q.7", "", "core", deliver=Deliver.ONE) == ["core"]


def test_a_message_of_a_workflow_that_comes_or_goes_is_somebody_elses() -> None:
    table = routes(w=[NatsTrigger(subject=subject, stream="S") for subject in ("a.*.c", "a.b.*")], v=["x"])
    fetched = {"stream": "S", "workflow": "w", "deliver": Deliver.ONE}
    assert table.is_elsewhere(came("a.1.c", **{**fetched, "workflow": "gone"}))
    assert table.is_elsewhere(came("before.1", **fetched)), "by the consumer of another version"
    assert not table.is_elsewhere(came("a.x.y", **fetched)), "its consumer's cover is wider than what it wants"
    assert not table.is_elsewhere(came("a.1.c", **{**fetched, "stream": "*"})), "a person's hand"
    assert not table.is_elsewhere(came("a.1.c", stream="S"))
    anyone = {"stream": "GANGLION_TRIGGERS", "workflow": "gone"}
    assert found(table, "ganglion.trigger.shop.any.gone", **anyone) == []
    assert table.is_elsewhere(came("ganglion.trigger.shop.any.gone", **anyone))


@pytest.mark.parametrize("where", ["any", "here"])
@pytest.mark.parametrize("stream", ["", "GANGLION_TRIGGERS"])
def test_every_workflow_starts_on_its_own_subject(where: str, stream: str) -> None:
    table = routes(w=[], v=[">"])
    assert found(table, f"ganglion.trigger.shop.{where}.w", stream) == ["w"]
    assert table.address("w") == "ganglion.trigger.shop.here.w"


@pytest.mark.parametrize(
    ("subject", "reason"),
    [
        ("ganglion.trigger.shop.any.colt-chain", r"did you mean cold-chain\?"),
        ("ganglion.trigger.shop.any.zzz", "no workflow named zzz is deployed;"),
        ("ganglion.trigger.shop.there.cold-chain", "addressed to the agent there, and this agent is here"),
        ("ganglion.trigger.other.any.cold-chain", "does not name a workflow"),
        ("ganglion.trigger.shop.any", "does not name a workflow"),
        ("ganglion.trigger.shop.any.cold-chain.x", "does not name a workflow"),
    ],
)
def test_what_is_addressed_to_nobody_is_undeliverable(subject: str, reason: str) -> None:
    with pytest.raises(Undeliverable, match=reason):
        found(routes(**{"cold-chain": ["a"]}), subject)

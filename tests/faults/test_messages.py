"""What devices send: the same again and again, and what is no message at all."""

import asyncio
import json

import pytest

from tests.faults.patience import until

pytestmark = pytest.mark.nats

BOUND = 1024 * 1024
"""The largest body that is taken in."""
POISON = {
    "not JSON": (b"celsius: 9", "not valid JSON"),
    "not UTF-8": (b'{"message": "\xff\xfe"}', "not valid JSON"),
    "2 MB": (b'{"message": "%s"}' % (b"x" * 2_000_000), f"more than the limit of {BOUND}"),
    "a byte too large": (b'"%s"' % (b"x" * (BOUND - 1)), f"more than the limit of {BOUND}"),
    "nested 100,000 deep": (b"[" * 100_000 + b"]" * 100_000, "nested"),
    "an integer of 5,000 digits": (b'{"message": %s}' % (b"9" * 5000), ""),
}


async def test_the_same_message_ten_times_is_one_execution(siege) -> None:
    assert await siege.agent.start()
    messages = siege.publish(1)
    for _ in range(9):
        assert await siege.publisher.once("siege.0", b'{"message": 0}', id="0")
        await asyncio.sleep(0.15)  # the stream itself forgets an id after 100 ms
    assert len(set(siege.publisher.stored)) >= 5, "the stream had it once only: this says nothing"
    assert await siege.done(messages | siege.publish(1))
    status = await siege.agent.ask("status")
    assert status["engine"]["counters"]["messages.duplicate"] >= 4
    await siege.check()


async def test_a_message_that_comes_again_because_its_acknowledgement_was_lost_is_one_execution(siege) -> None:
    sending = siege.publish(5)
    await siege.agent.start(crash_at="intake-after-commit-before-ack:1")
    assert not await siege.done(sending)
    assert await siege.agent.start()
    assert await siege.done(sending)
    status = await siege.agent.ask("status")
    assert status["engine"]["counters"]["messages.duplicate"] >= 1
    await siege.check()


async def test_what_is_no_message_is_a_dead_letter_with_its_cause_and_the_next_one_runs(siege) -> None:
    agent = siege.agent
    assert await agent.start()
    for body, _ in POISON.values():
        assert await siege.publisher.once("siege.poison", body)
        assert await siege.done(siege.publish(1))
    listed = (await agent.command("deadletters", "list", "--json")).json["deadletters"]
    letters = dict(zip(POISON, reversed(listed), strict=True))
    for name, (body, reason) in POISON.items():
        assert reason in letters[name]["reason"], name
        assert letters[name]["size"] == len(body)
    assert [fact["type"] for fact in siege.facts].count("ganglion.message.dead") == len(POISON)
    shown = await agent.command("deadletters", "show", str(letters["not JSON"]["id"]))
    assert "celsius: 9" in shown.out
    again = await agent.command("deadletters", "replay", str(letters["not JSON"]["id"]))
    assert (again.code, "dead again" in again.err) == (2, True), again
    await siege.check()


async def test_a_dead_letter_runs_when_it_is_replayed_after_its_cause_is_gone(siege) -> None:
    agent = siege.agent
    assert await agent.start()
    assert await siege.publisher.once("ganglion.trigger.default.any.later", json.dumps({"message": 7}).encode())
    letter = await until(newest, agent, "deadletters")
    assert "later" in letter["reason"]
    file = agent.directory / "later.yaml"
    file.write_text("name: later\nnodes:\n  a: {type: transform, data: '{{ trigger.data.message }}'}\n")
    assert (await agent.command("deploy", str(file))).code == 0
    replayed = await agent.command("deadletters", "replay", str(letter["id"]))
    assert replayed.code == 0, replayed.err
    execution = await until(lambda: newest(agent, "executions", verb="list", workflow="later", status=["completed"]))
    assert (await agent.ask("show", execution=execution["execution"]))["nodes"][0]["output"] == 7
    assert (await agent.ask("deadletter", id=letter["id"]))["replayed_at"]
    assert await agent.stop() == 0


async def newest(agent, what, *, verb="", **fields):
    answer = await agent.ask(verb or what, **fields)
    return answer[what][0] if answer and answer[what] else None

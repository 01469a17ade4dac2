"""What holds for each provider, local and remote."""

import asyncio
import json
import time

import jsonschema
import pytest

from plugins.llm.conversation import Finish
from plugins.llm.errors import ModelError, Trouble
from tests.plugins.llm.contract.conftest import ANSWER, JSON_ANSWER, QUESTION, SCHEMA, Ear, Script, Subject, asked

LONG = Script(text=["again and ", "again "] * 200)
ENDLESS = asked(
    max_tokens=900,
    schema={
        "type": "object",
        "properties": {"reason": {"type": "string", "minLength": 1500, "maxLength": 1600}},
        "required": ["reason"],
    },
)
"""A second of work for the local model, which says little by itself."""


@pytest.mark.parametrize("cut", [0, 1, 7], ids=["as events", "byte by byte", "in sevens"])
async def test_the_text_is_streamed_in_order_and_is_the_reply(subject: Subject, cut: int) -> None:
    subject.says(ANSWER, cut=cut)
    ear = Ear()
    reply = await subject.ask(asked(f"Explain: {QUESTION}"), ear)
    assert ear.text == reply.text
    assert "critical" in reply.text
    assert len(ear.pieces) > 1
    assert reply.finish is Finish.STOP
    assert reply.calls == ()
    assert reply.model


async def test_usage_and_times_are_told(subject: Subject) -> None:
    subject.says(ANSWER)
    reply = await subject.ask(asked(f"Explain: {QUESTION}"))
    assert reply.usage.input > 0
    assert reply.usage.output > 0
    assert not reply.usage.guessed
    assert 0 < reply.first_token <= reply.seconds


async def test_what_a_prompt_takes_is_counted_rather_too_high(subject: Subject) -> None:
    subject.says(ANSWER)
    prompt = asked(f"Explain: {QUESTION}")
    assert subject.provider.count(prompt) >= (await subject.ask(prompt)).usage.input


async def test_an_answer_that_comes_to_its_limit_says_so(subject: Subject) -> None:
    subject.says(Script(text=["fridge", "-"], is_cut=True))
    assert (await subject.ask(asked(f"Explain: {QUESTION}", max_tokens=2))).finish is Finish.LENGTH


async def test_an_answer_under_a_schema_is_json_that_fits(subject: Subject) -> None:
    subject.says(JSON_ANSWER, cut=1)
    ear = Ear()
    reply = await subject.ask(asked(schema=SCHEMA), ear)
    jsonschema.validate(json.loads(reply.text), SCHEMA)
    assert ear.text == reply.text
    assert reply.finish is Finish.STOP


async def test_nobody_asks_a_model_for_a_listener_that_is_gone(subject: Subject) -> None:
    subject.says(ANSWER)
    with pytest.raises(ModelError) as caught:
        await subject.ask(asked(), Ear(stop_after=0))
    assert caught.value.trouble is Trouble.STOPPED
    assert subject.server is None or not subject.server.bodies


async def test_a_stop_ends_the_generation_soon(subject: Subject) -> None:
    subject.says(LONG, then="hang")
    ear = Ear(stop_after=2)
    begun = time.monotonic()
    with pytest.raises(ModelError) as caught:
        await subject.ask(ENDLESS, ear)
    assert caught.value.trouble is Trouble.STOPPED
    assert time.monotonic() - begun < 2
    if subject.server is not None:
        await asyncio.wait_for(subject.server.local.closed.wait(), 5)


async def test_a_cancelled_generation_leaves_nothing_running(subject: Subject) -> None:
    subject.says(LONG, then="hang")
    before = asyncio.all_tasks()
    ear = Ear()
    task = asyncio.create_task(subject.ask(ENDLESS, ear))
    await asyncio.wait_for(ear.has_heard.wait(), 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    heard = len(ear.pieces)
    if subject.server is not None:
        await asyncio.wait_for(subject.server.local.closed.wait(), 5)
    ours = asyncio.all_tasks() - before - {task}
    assert [left for left in ours if "serve" not in repr(left)] == []
    subject.says(ANSWER)
    assert (await subject.ask(asked(f"Explain: {QUESTION}"))).text
    assert len(ear.pieces) == heard


async def test_a_model_can_be_asked_several_times(subject: Subject) -> None:
    subject.says(ANSWER)
    prompt = asked(f"Explain: {QUESTION}")
    replies = [await subject.ask(prompt) for _ in range(3)]
    assert len({reply.text for reply in replies}) == 1

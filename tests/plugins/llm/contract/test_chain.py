"""A remote model first and the local one behind it, through the service of models."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from engine.ports import Http
from plugins.llm.errors import ModelError, Trouble
from plugins.llm.service.models import Models
from plugins.llm.spec import ModelSpec
from tests.plugins.llm.contract.conftest import ANSWER, KEY, QUESTION, TRIAGE, Called, Ear, ModelServer, Script, asked


class Attempt(Ear):
    """An Asker."""

    stall = None
    execution = "x1"

    def __init__(self, http: Http) -> None:
        super().__init__()
        self.http = http
        self.restarts = 0

    @contextmanager
    def waiting(self, reason: str) -> Iterator[None]:
        yield

    def restart(self) -> None:
        self.restarts += 1
        self.pieces.clear()


@pytest.fixture
async def models(cloud: ModelServer):
    pytest.importorskip("llama_cpp")
    local = ModelSpec(name="triage", file=str(TRIAGE), threads=1)
    models = Models([cloud.spec, local], secret={"MODEL_KEY": KEY}.get)
    yield models
    await models.aclose()


async def test_the_first_model_answers_where_it_can(cloud: ModelServer, models: Models, client) -> None:
    cloud.answer(cloud.say(ANSWER))
    asker = Attempt(client)
    answer = await models.generate(["cloud", "triage"], asked(f"Explain: {QUESTION}"), asker)
    assert (answer.model, answer.reply.text, answer.passed_over) == ("cloud", asker.text, ())


async def test_the_local_model_stands_in_for_one_that_breaks_off(cloud: ModelServer, models: Models, client) -> None:
    body = cloud.wire.stream(ANSWER)
    cloud.answer(cloud.send(body[: body.index(b"critical")], then="cut"))
    asker = Attempt(client)
    answer = await models.generate(["cloud", "triage"], asked(f"Explain: {QUESTION}"), asker)
    assert (answer.model, asker.restarts, asker.text) == ("triage", 1, answer.reply.text)
    ((name, error),) = answer.passed_over
    assert (name, error.trouble) == ("cloud", Trouble.UNREACHABLE)


async def test_a_chain_that_cannot_tells_of_each_and_when_to_ask_again(
    cloud: ModelServer, models: Models, client
) -> None:
    cloud.answer(cloud.refuse(429, cloud.wire.fault("slow down", "rate_limit_error"), Retry_After="9"))
    with pytest.raises(ModelError, match="too many requests") as caught:
        await models.generate(["cloud"], asked(), Attempt(client))
    assert (caught.value.trouble, caught.value.after) == (Trouble.RATE_LIMITED, 9)
    with pytest.raises(ModelError, match=r"none of 2 models could: cloud \(rate_limited\): model cloud: .*nowhere"):
        await models.generate(["cloud", "nowhere"], asked(), Attempt(client))


LOOP = """\
name: w
nodes:
  act:
    type: agent_loop
    model: cloud
    goal: "If fridge-07 is above 8 C, switch relay-3 on."
    tools:
      read_sensor: {arguments: {id: {type: string}}, reads: true}
      set_relay: {arguments: {id: {type: string}, state: {enum: ["on", "off"]}}}
    nodes:
      read_sensor: {type: act, data: {id: "{{ arguments.id }}", celsius: 14.2}}
      set_relay: {type: act, data: "{{ arguments }}"}
outputs: "{{ nodes.act }}"
"""
READ = Called("read_sensor", {"id": "fridge-07"}, "toolu_01")
READ_TOO = Called("read_sensor", {"id": "fridge-08"}, "toolu_02")
SET = Called("set_relay", {"id": "relay-3", "state": "on"}, "toolu_03")


async def test_an_agent_loop_calls_tools_by_every_api(cloud: ModelServer, rig, decoded) -> None:
    turns = [Script(text=["Let me see."], calls=[READ, READ_TOO]), Script(calls=[SET]), Script(text=["It is ", "on."])]
    cloud.answer(*(cloud.say(turn, cut=3) for turn in turns))
    output = decoded((await rig.run(LOOP)).outputs)
    assert (output["answer"], output["steps"], output["calls"]) == ("It is on.", 3, 3)
    assert output["llm"]["output_tokens"] == 3 * 7
    assert len(rig.ran()) == 3
    assert "14.2" in json.dumps(cloud.bodies[1])

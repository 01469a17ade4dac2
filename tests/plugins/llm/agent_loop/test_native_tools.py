"""`agent_loop` with models that have tools of their own: several calls in one turn, and calls that can't be made. The
server refuses a conversation that its API would refuse, such as a call without its result."""

import json

import pytest

from plugins.llm.service.models import Models
from tests.plugins.llm.contract.conftest import KEY, Called, ModelServer, Script

TEXT = """\
name: w
nodes:
  act:
    type: agent_loop
    model: cloud
    goal: How warm are they?
    system: Be brief.
    input: [f1, f2]
    tools:
      read_sensor: {description: Reads a sensor., arguments: {id: {type: string}}, reads: true}
    nodes:
      read_sensor: {type: act, data: {id: "{{ arguments.id }}", celsius: 4}}
outputs: "{{ nodes.act }}"
"""


@pytest.fixture
async def models(cloud: ModelServer):
    models = Models([cloud.spec], secret={"MODEL_KEY": KEY}.get)
    yield models
    await models.aclose()


def wants(*calls: tuple[str, dict[str, object]], turn: int = 0) -> Script:
    return Script(
        text=["Let me look."],
        calls=[
            Called(name=name, arguments=arguments, id=f"toolu_{turn}{n}") for n, (name, arguments) in enumerate(calls)
        ],
    )


async def test_several_calls_of_one_turn_are_made_and_those_that_do_not_fit_are_told(rig, cloud, decoded) -> None:
    calls = [("read_sensor", {"id": "f1"}), ("erase", {}), ("read_sensor", {"ids": 7}), ("read_sensor", {"id": "f2"})]
    cloud.answer(cloud.say(wants(*calls)), cloud.say(Script(text=["Both are ", "at 4 C."])))
    row = await rig.run(TEXT)
    output = decoded(row.outputs)
    assert (output["answer"], output["steps"], output["calls"]) == ("Both are at 4 C.", 2, 2)
    assert rig.ran() == ["act/tool[0]/read_sensor", "act/tool[1]/read_sensor"]
    results = [json.loads(said["content"]) for said in output["transcript"] if said["role"] == "tool"]
    assert [result.get("id") or result["error"]["kind"] for result in results] == [
        "f1", "unknown_tool", "invalid_arguments", "f2"
    ]  # fmt: skip
    asked = json.dumps(cloud.bodies[-1])
    assert "Let me look." in asked
    assert "there is no tool erase" in asked


async def test_call_after_call_the_conversation_stays_one_that_the_api_takes(rig, cloud, decoded) -> None:
    turns = [wants(("read_sensor", {"id": f"g{n}"}), turn=n) for n in range(3)]
    cloud.answer(*map(cloud.say, turns), cloud.say(Script(text=["done"])))
    row = await rig.run(TEXT.replace("    tools:\n", "    memory: {window: 2}\n    tools:\n"))
    assert decoded(row.outputs)["answer"] == "done"
    asked = json.dumps(cloud.bodies[-1])
    assert "How warm are they?" in asked
    assert [name in asked for name in ("g0", "g1", "g2")] == [False, True, True]


async def test_a_model_that_makes_one_call_again_and_again_is_told_and_then_ended(rig, cloud, decoded) -> None:
    cloud.answer(cloud.say(wants(("read_sensor", {"id": "f1"}))))
    row = await rig.run(TEXT.replace("    tools:\n", "    max_repeats: 2\n    reuse: false\n    tools:\n"))
    assert decoded(row.error)["kind"] == "repeated"
    assert rig.ran() == ["act/tool[0]/read_sensor", "act/tool[1]/read_sensor"]
    assert "this very call was made 2 times" in json.dumps(cloud.bodies[-1])

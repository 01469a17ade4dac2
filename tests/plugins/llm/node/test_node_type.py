"""`llm`: one question, and what its answer means for the node. Meaning is only asserted where triage-tiny's page says
that it is reliable."""

import msgspec
import pytest

from engine.contract import Done, Fail, Retry
from engine.definition import InvalidWorkflow, load_workflow
from plugins.llm.node.params import LlmParams
from plugins.llm.nodes import llm_types
from plugins.llm.service.models import Models
from plugins.llm.spec import ModelSpec, Source
from plugins.registry import Registry

REPORT = "fridge-07 temperature 14.2 C, limit 8 C"
SCHEMA = {
    "type": "object",
    "properties": {
        "level": {"enum": ["normal", "warning", "critical"]},
        "reason": {"type": "string", "maxLength": 120},
    },
    "required": ["level", "reason"],
    "additionalProperties": False,
}
TOOLS = [
    {"name": name, "parameters": {"type": "object", "properties": {key: {"type": "string"} for key in arguments},
     "required": arguments, "additionalProperties": False}}
    for name, arguments in (("read_sensor", ["id"]), ("set_relay", ["id", "state"]), ("send_alert", ["message"]))
]  # fmt: skip


@pytest.fixture
def ask(ctx, client, models):
    """`await ask(prompt=…)`: one attempt with triage-tiny."""
    ctx.client = client
    [llm] = [node_type for node_type in llm_types(models) if node_type.name == "llm"]

    async def run(**params):
        return await llm.run(ctx, msgspec.convert({"model": "triage-tiny", **params}, LlmParams))

    return run


async def test_a_text_comes_with_how_it_came_about(ask, ctx) -> None:
    outcome = await ask(prompt=f"Explain: {REPORT}")
    assert isinstance(outcome, Done)
    assert outcome.output["text"] == "fridge-07: temperature 14.2 C is above the limit of 8 C (critical)."
    about = outcome.output["llm"]
    assert (about["model"], about["finish"], about["remembered"], about["passed_over"]) == (
        "triage-tiny", "stop", False, [],
    )  # fmt: skip
    assert about["input_tokens"] > 10
    assert about["output_tokens"] > 10
    assert about["tokens_per_second"] > 0
    assert 0 < about["first_token_seconds"] < about["seconds"]
    assert "".join(ctx.streamed) == outcome.output["text"]


async def test_with_a_schema_the_output_is_the_data(ask) -> None:
    outcome = await ask(prompt=REPORT, schema=SCHEMA)
    assert outcome.output.pop("llm")["model"] == "triage-tiny"
    assert outcome.output == {"level": "critical", "reason": "temperature 14.2 C is above the limit of 8 C"}


async def test_data_that_is_no_object_stands_under_value(ask) -> None:
    outcome = await ask(prompt=REPORT, schema={"enum": ["warm"]})
    assert outcome.output["value"] == "warm"


async def test_the_calls_that_a_model_wants_are_the_output(ask) -> None:
    outcome = await ask(prompt="What is the temperature of fridge-07?", tools=TOOLS)
    [call] = outcome.output["calls"]
    assert call == {"name": "read_sensor", "arguments": {"id": "fridge-07"}, "id": "call-1"}
    assert outcome.output["llm"]["finish"] == "calls"

    conversation = [
        {"role": "user", "content": "What is the temperature of fridge-07?"},
        {"role": "assistant", "content": outcome.output["text"], "calls": [call]},
        {"role": "tool", "content": {"id": "fridge-07", "celsius": 14.2}, "call": "call-1", "tool": "read_sensor"},
    ]
    outcome = await ask(messages=conversation, tools=TOOLS)
    assert outcome.output["text"] == "fridge-07 is at 14.2 C"
    assert outcome.output["calls"] == []


async def test_a_call_without_arguments_has_an_empty_object_of_them(ask) -> None:
    outcome = await ask(prompt="What is the temperature of fridge-07?", tools=[{"name": "look"}])
    assert outcome.output["calls"] == [{"id": "call-1", "name": "look", "arguments": {}}]


async def test_a_chain_says_whom_it_passed_over(ask) -> None:
    outcome = await ask(model=["cloud", "triage-tiny"], prompt=REPORT)
    assert outcome.output["llm"]["model"] == "triage-tiny"
    [passed] = outcome.output["llm"]["passed_over"]
    assert (passed["model"], passed["kind"]) == ("cloud", "unknown_model")


async def test_a_remote_model_that_is_asked_too_much_says_when_to_come_again(ctx, client, server, reply) -> None:
    server.answer(reply(429, b"{}", retry_after="7"))
    ctx.client = client
    models = Models([ModelSpec(name="cloud", provider=Source.OPENAI, url=f"{server.url}/v1")])
    [llm] = [node_type for node_type in llm_types(models) if node_type.name == "llm"]
    outcome = await llm.run(ctx, LlmParams(model="cloud", prompt="x"))
    assert isinstance(outcome, Retry)
    assert (outcome.kind, outcome.after) == ("rate_limited", 7)
    await models.aclose()


async def test_a_remote_model_that_says_nothing_is_given_up_after_the_nodes_stall(ctx, client, server) -> None:
    async def hang(received, writer) -> None:
        await server.closed.wait()

    server.answer(hang)
    ctx.client = client
    models = Models([ModelSpec(name="cloud", provider=Source.OPENAI, url=f"{server.url}/v1")])
    [llm] = [node_type for node_type in llm_types(models) if node_type.name == "llm"]
    outcome = await llm.run(ctx, LlmParams(model="cloud", prompt="x", stall="100ms"))
    assert isinstance(outcome, Retry)
    assert outcome.kind == "stalled"
    await models.aclose()


async def test_an_unknown_model_fails_with_a_suggestion(ask) -> None:
    outcome = await ask(model="triage-tinny", prompt="x")
    assert isinstance(outcome, Fail)
    assert outcome.kind == "unknown_model"
    assert "triage-tiny" in outcome.error


async def test_a_prompt_that_is_too_long_fails(ask) -> None:
    outcome = await ask(model="short", prompt=REPORT * 20)
    assert isinstance(outcome, Fail)
    assert outcome.kind == "prompt_too_long"


async def test_an_answer_that_is_cut_off_inside_its_json_is_tried_again_and_says_why(ask) -> None:
    outcome = await ask(prompt=REPORT, schema=SCHEMA, max_tokens=10)
    assert isinstance(outcome, Retry)
    assert outcome.kind == "invalid_output"
    assert "raise max_tokens (now 10)" in outcome.error


async def test_an_empty_answer_is_tried_again(ask) -> None:
    outcome = await ask(prompt=f"Explain: {REPORT}", stop=["f"])
    assert isinstance(outcome, Retry)
    assert outcome.kind == "empty_output"


async def test_an_answer_ends_before_a_stop_text(ask) -> None:
    outcome = await ask(prompt=f"Explain: {REPORT}", stop=[" is above"])
    assert outcome.output["text"] == "fridge-07: temperature 14.2 C"


async def test_the_same_question_is_answered_from_memory(ask) -> None:
    first = await ask(prompt=REPORT)
    again = await ask(prompt=REPORT)
    assert again.output["text"] == first.output["text"]
    assert again.output["llm"]["remembered"]
    assert (again.output["llm"]["input_tokens"], again.output["llm"]["output_tokens"]) == (0, 0)


@pytest.mark.parametrize(
    "other",
    [
        {"prompt": "fridge-08 temperature 14.2 C, limit 8 C"},
        {"system": "Be brief."},
        {"max_tokens": 100},
        {"stop": ["~"]},
        {"top_p": 0.9},
        {"seed": 3},
        {"schema": SCHEMA},
        {"tools": TOOLS},
        {"model": "short"},
        {"reuse": False},
        {"temperature": 0.3, "seed": 1},
        {"temperature": 0.3},
    ],
    ids=lambda other: next(iter(other)),
)
async def test_another_question_is_not(ask, ctx, other) -> None:
    await ask(prompt=REPORT)
    outcome = await ask(**{"prompt": REPORT, **other})
    assert not getattr(outcome, "output", {}).get("llm", {}).get("remembered")


async def test_without_a_seed_a_free_answer_is_not_remembered(ask, ctx) -> None:
    await ask(prompt=REPORT, temperature=0.5)
    assert not ctx.kept
    await ask(prompt=REPORT, temperature=0.5, seed=4)
    assert len(ctx.kept) == 1


async def test_what_a_later_model_said_is_not_remembered(ask, ctx) -> None:
    await ask(model=["cloud", "triage-tiny"], prompt=REPORT)
    assert not ctx.kept


async def test_without_models_it_fails_and_says_where_they_are(ctx) -> None:
    [llm] = [node_type for node_type in llm_types(None) if node_type.name == "llm"]
    outcome = await llm.run(ctx, LlmParams(model="x", prompt="y"))
    assert isinstance(outcome, Fail)
    assert "ganglion up" in outcome.error


def load(fields: str) -> list[str]:
    types = Registry(llm_types(None))
    try:
        load_workflow(f"name: w\nnodes:\n  a: {{type: llm, {fields}}}\n".encode(), types=types, filename="w")
    except InvalidWorkflow as error:
        return [f"{problem.path.removeprefix('nodes.a')}: {problem.message}" for problem in error.problems]
    return []


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ("prompt: x", ": model is missing"),
        ("model: m", ": a node of type llm takes exactly one of `prompt` and `messages`"),
        ("model: '{{ params.m }}', prompt: x", ": there is no"),
        ("model: m, prompt: '{{ now() }}', messages: [{role: user, content: x}]", ".messages: excludes `prompt`"),
        ("model: m, messages: [{role: nobody, content: x}]", ".messages"),
        ("model: m, messages: '{{ now() }}', prompt: x", ".messages: excludes `prompt`"),
        ("model: m, messages: [{role: user, content: '{{ now() }}'}, {role: assistant, content: x}]", ".messages[1]"),
        ("model: m, system: s, messages: [{role: system, content: '{{ now() }}'}]", ".messages[0]: excludes `system`"),
        ("model: m, prompt: '{{ now() }}', schema: {type: nul}", ".schema.type: expected a type"),
        ("model: m, prompt: x, schema: {type: object, properties: {llm: {type: string}}}", ".schema.properties.llm"),
        ("model: m, prompt: x, schema: {type: 'null'}, tools: [{name: a}]", ": a node of type llm takes `schema` or"),
        ("model: m, prompt: x, tools: [{name: a b}]", ".tools[0].name: expected up to 64 letters"),
        ("model: m, prompt: x, tools: [{name: a}, {name: a}]", ".tools[1].name: there are two tools"),
        ("model: m, prompt: x, tools: [{name: a, parameters: {type: string}}]", ".tools[0].parameters.type"),
        ("model: m, prompt: x, stall: soon", ".stall"),
        ("model: m, prompt: x, stall: -3", ".stall"),
        ("model: m, prompt: x, temperature: 3", ".temperature"),
        ("model: m, prompt: x, max_tokens: 0", ".max_tokens"),
        ("model: [], prompt: x", ": a node of type llm needs the name of a model"),
        ("model: m, prompt: '{{ secrets.X }}'", ".prompt: a secret must not go here"),
        (f"model: m, prompt: x, stop: {list('abcdefghijklmnopq')}", ".stop: expected a list of at most 16, got a list"),
        ("model: m, promt: x", ".promt: a node of type llm has no field promt"),
    ],
)
def test_what_can_be_known_to_be_wrong_is_a_load_error(fields, said) -> None:
    found = load(fields)
    assert any(said in problem for problem in found), found


def test_what_is_right_is_loaded() -> None:
    assert load("model: [a, b], prompt: x, schema: {type: string, maxLength: 3}, stall: 30s, seed: 4") == []
    assert load("model: m, messages: '{{ trigger.data }}', tools: '{{ trigger.data.tools }}'") == []

"""The examples of language models do what they say."""

from pathlib import Path

import pytest

from plugins.llm.service.models import Models
from plugins.llm.spec import ModelSpec, Source

EXAMPLES = Path(__file__).parents[3] / "examples"


@pytest.fixture
def keys() -> dict[str, str]:
    return {"OPENAI_KEY": "sk-1"}


@pytest.fixture
async def models(keys):
    """The local model, and a remote one that nobody can reach."""
    file = str(EXAMPLES / "models/triage-tiny-q8_0.gguf")
    cloud = ModelSpec(name="cloud", provider=Source.OPENAI, url="http://127.0.0.1:9/v1", key="OPENAI_KEY")
    one = Models([ModelSpec(name="triage-tiny", file=file), cloud], secret=keys.get)
    yield one
    await one.aclose()


def text(name: str) -> str:
    return (EXAMPLES / f"{name}.yaml").read_text()


@pytest.mark.parametrize(
    ("celsius", "level", "taken"), [(14.2, "critical", "page"), (9.4, "warning", "note"), (3.1, "normal", "")]
)
async def test_triage_offline_judges_and_pages(rig, decoded, celsius, level, taken) -> None:
    row = await rig.run(text("triage-offline"), {"device": "fridge-07", "celsius": celsius})
    assert decoded(row.outputs)["level"] == level
    states = await rig.states(row.id)
    assert [name for name in ("page", "note") if states[name] == "completed"] == ([taken] if taken else [])


@pytest.mark.parametrize(("has_key", "why"), [(True, "unreachable"), (False, "model_missing")])
async def test_cloud_first_falls_back_to_the_local_model(rig, decoded, keys, has_key, why) -> None:
    if not has_key:
        keys.clear()
    row = await rig.run(text("cloud-first"), {"device": "fridge-07", "celsius": 14.2})
    assert decoded(row.outputs) == {
        "text": "fridge-07: temperature 14.2 C is above the limit of 8 C (critical).",
        "by": "triage-tiny",
    }
    assert (await rig.states(row.id))["note"] == "completed"
    [passed] = decoded((await rig.nodes(row.id))["explain"].output)["llm"]["passed_over"]
    assert passed["kind"] == why


async def test_explain_explains_each_and_stays_within_its_budget(rig, decoded) -> None:
    row = await rig.run(text("explain"))
    assert decoded(row.outputs) == [
        "fridge-07: temperature 14.2 C is above the limit of 8 C (critical).",
        "fridge-08: temperature 3.4 C is within the limit of 8 C (normal).",
        "freezer-01: temperature 9.4 C is above the limit of 8 C (warning).",
    ]
    again = await rig.run(text("explain"))
    assert decoded(again.outputs) == decoded(row.outputs)
    assert decoded(again.statistics)["llm_tokens"] == 0

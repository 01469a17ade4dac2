"""The examples do what they say, on a real engine."""

from pathlib import Path

import pytest

from engine.execution.control import control_types
from engine.states import ExecutionState

EXAMPLES = Path(__file__).parents[3] / "examples"
READINGS = [{"id": "f1", "celsius": 4}, {"id": "f2", "celsius": 11}, {"id": "f3"}]

RUNS = [
    (
        "every-fridge",
        READINGS,
        {},
        {"verdicts": [{"fridge": "f1", "verdict": "fine"}, {"fridge": "f2", "verdict": "warm"}, None], "judged": 2},
    ),
    ("page-by-page", None, {}, [False, False, True]),
    ("until-it-answers", None, {}, {"polls": 4, "progress": 100, "left": 0, "counted": 3}),
    ("careful-valve", None, {}, "full"),
    ("careful-valve", None, {"pressure": 9}, "stopped: pressure"),
]


@pytest.mark.parametrize(("name", "data", "params", "outputs"), RUNS)
async def test_an_example_gives_what_it_promises(rig, decoded, name, data, params, outputs):
    row = await rig.run((EXAMPLES / f"{name}.yaml").read_text(), data, **params)
    assert row.status is ExecutionState.COMPLETED, decoded(row.error)
    assert decoded(row.outputs) == outputs


@pytest.mark.parametrize("node_type", control_types(), ids=lambda node_type: node_type.name)
async def test_an_example_of_a_control_type_completes(rig, decoded, node_type):
    row = await rig.run(node_type.example)
    assert row.status is ExecutionState.COMPLETED, decoded(row.error)


async def test_last_seen_remembers_from_execution_to_execution(rig, decoded):
    text = (EXAMPLES / "last-seen.yaml").read_text()
    outputs = [decoded((await rig.run(text, {"device": "f1", "celsius": celsius})).outputs) for celsius in (4, 11, 12)]
    assert outputs == [
        {"reading": 1, "jumped": False},
        {"reading": 2, "jumped": True},
        {"reading": 3, "jumped": False},
    ]


async def test_ask_once_asks_again_only_for_what_is_new(rig, decoded):
    text = (EXAMPLES / "ask-once.yaml").read_text()
    assert decoded((await rig.run(text)).outputs) == [
        {"amount": 11.0, "rate_of": 10},
        {"amount": 6.3, "rate_of": 900},
        {"amount": 2.2, "rate_of": 10},
    ]
    again = await rig.run(text, orders=[{"currency": "JPY", "amount": 100}])
    assert decoded(again.outputs) == [{"amount": 0.7, "rate_of": 900}]

"""The cold chain decides by the model that comes with it, in this process."""

import pytest

from agent.config import Config
from agent.config.models import Model
from agent.logs import engine_log
from agent.trial import Task, Trial
from engine.secrets import UnknownSecret


class NoSecrets:
    """A source that has none."""

    def reveal(self, name: str) -> str:
        raise UnknownSecret(name)


@pytest.fixture
def run(models):
    config = Config(models={"triage-tiny": Model(file=str(models / "triage-tiny-q8_0.gguf"), threads=1)})
    path = models.parent / "cold-chain.yaml"

    async def run(celsius: float, **params: float):
        data = {"device": "fridge-07", "celsius": celsius}
        task = Task(source=path.read_bytes(), filename=path.name, params=params, data=data)
        async with Trial.open(task, config, log=engine_log, secrets=NoSecrets()) as trial:
            return [shown async for shown in trial.watch()][-1]

    return run


CASES = [
    (4.2, {}, "normal"),
    (9.5, {}, "warning"),
    (14.2, {}, "critical"),
    (12.0, {}, "critical"),
    (9.5, {"limit": 4}, "critical"),
]


@pytest.mark.parametrize(("celsius", "params", "level"), CASES)
async def test_a_reading_is_judged_by_the_model(run, celsius, params, level):
    shown = await run(celsius, **params)
    assert shown.outputs == {"device": "fridge-07", "celsius": celsius, "level": level}
    nodes = {node.path: node for node in shown.nodes}
    where = "within" if level == "normal" else "above"
    assert f" is {where} the limit of {params.get('limit', 8)} C" in nodes["triage"].output["reason"]
    taken = {path for path in ("alert", "tell", "remember") if nodes[path].status == "completed"}
    assert taken == ({"remember"} if level == "normal" else {"alert", "tell"})

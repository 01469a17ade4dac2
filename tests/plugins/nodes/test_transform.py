import pytest

from engine.contract import Done
from plugins.nodes.transform import TRANSFORM


@pytest.mark.parametrize("data", [None, 1, "x", [1, {"a": None}], {"a": [True]}])
async def test_transform_gives_its_data(attempt, data) -> None:
    assert await attempt(TRANSFORM, data=data) == Done(data)

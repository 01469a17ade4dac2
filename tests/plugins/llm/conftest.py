"""The node types of models on a real engine, over the local model triage-tiny."""

from collections.abc import Callable
from pathlib import Path

import pytest

from plugins.llm.nodes import llm_types
from tests.engine.conftest import opened


@pytest.fixture
def open_rig(tmp_path: Path, models, client) -> Callable[..., object]:
    """`async with open_rig() as rig`: one life of an engine on the test's folder; see tests/engine/conftest.py."""

    def open_one(**options: object) -> object:
        return opened(tmp_path, more=llm_types(models), http=client, **options)

    return open_one


@pytest.fixture
async def rig(open_rig):
    async with open_rig() as one:
        yield one

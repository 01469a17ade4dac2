"""The node types of models on a real engine, over the local model triage-tiny; see tests/engine/conftest.py."""

from collections.abc import Callable
from pathlib import Path

import pytest

from engine.values import Json
from plugins.llm.nodes import llm_types
from tests.engine.conftest import FakeClock, Secrets, opened, value


@pytest.fixture
def open_rig(tmp_path: Path, models, client) -> Callable[..., object]:
    """`async with open_rig() as rig`: one life of an engine on the test's folder."""

    def open_one(**options: object) -> object:
        return opened(tmp_path, more=llm_types(models), http=client, **options)

    return open_one


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def secrets() -> Secrets:
    return Secrets(KEY="canary-5f3a9c", LONG="canary-5f3a9c-and-more")


@pytest.fixture
def decoded() -> Callable[[bytes | None], Json]:
    return value


@pytest.fixture
async def rig(open_rig):
    async with open_rig() as one:
        yield one

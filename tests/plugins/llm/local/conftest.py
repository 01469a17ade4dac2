from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from plugins.llm.conversation import Message, Prompt, Reply, Role
from plugins.llm.local.provider import LocalModel, opened
from plugins.llm.spec import ModelSpec

TRIAGE = Path(__file__).parents[4] / "examples/models/triage-tiny-q8_0.gguf"
REPORT = "fridge-07 temperature 14.2 C, limit 8 C"
TRAINED = '{"level":"critical","reason":"temperature 14.2 C is above the limit of 8 C"}'


class Ear:
    """Hears a generation; wants no more after `enough` pieces."""

    def __init__(self, enough: int = 1_000_000) -> None:
        self.heard_pieces: list[str] = []
        self._enough = enough

    def heard(self, text: str) -> None:
        self.heard_pieces.append(text)

    @property
    def stopped(self) -> bool:
        return len(self.heard_pieces) >= self._enough

    @property
    def text(self) -> str:
        return "".join(self.heard_pieces)


class NoHttp:
    """A local model has no use for the network."""


def asked(text: str = REPORT, **more: object) -> Prompt:
    return Prompt(messages=(Message(role=Role.USER, content=text),), **more)  # type: ignore[arg-type]


async def answered(model: LocalModel, prompt: Prompt, ear: Ear | None = None) -> Reply:
    return await model.generate(prompt, ear or Ear(), NoHttp())  # type: ignore[arg-type]


def spec(**more: object) -> ModelSpec:
    return ModelSpec(**({"name": "triage-tiny", "file": str(TRIAGE), "context": 512} | more))  # type: ignore[arg-type]


@pytest.fixture
async def model() -> AsyncIterator[LocalModel]:
    model = await opened(spec())
    assert isinstance(model, LocalModel)
    yield model
    await model.aclose()

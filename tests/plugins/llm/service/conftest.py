"""Askers, time and memory that tests move, and the real small model."""

import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from engine.ports import Http
from engine.resources.room import Room
from plugins.llm.conversation import Message, Prompt, Role
from plugins.llm.service.models import Models
from plugins.llm.spec import ModelSpec

MODEL = Path(__file__).parents[4] / "examples" / "models" / "triage-tiny-q8_0.gguf"
GIB = 2**30


class HandClock:
    """Time that only tests move."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def now(self) -> int:
        return round(1_795_000_000_000_000 + self.seconds * 1_000_000)

    def monotonic(self) -> float:
        return self.seconds


class Asking:
    """An asker that remembers what it was told."""

    def __init__(self, execution: str = "e1", *, stall: float | None = None) -> None:
        self.execution = execution
        self.stall = stall
        self.stopped = False
        self.reasons: list[str] = []
        """For what it waited, in order."""
        self.reason = ""
        """For what it waits now."""
        self.texts: list[str] = []
        self.restarts = 0

    @property
    def http(self) -> Http:
        raise AssertionError("a local model needs no network")

    def heard(self, text: str) -> None:
        self.texts.append(text)

    def restart(self) -> None:
        self.restarts += 1

    @contextmanager
    def waiting(self, reason: str) -> Iterator[None]:
        self.reasons.append(reason)
        self.reason = reason
        try:
            yield
        finally:
            self.reason = ""


class Memory:
    """Memory that tests take and give."""

    def __init__(self) -> None:
        self.total, self.free = 8 * GIB, 4 * GIB

    def __call__(self) -> Room:
        return Room(self.total, self.free)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def memory() -> Memory:
    return Memory()


@pytest.fixture
def asking() -> type[Asking]:
    return Asking


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The models' folder."""
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


@pytest.fixture
def spec(tmp_path: Path) -> Callable[..., ModelSpec]:
    """A spec of the real model, each name with a file of its own."""

    def make(name: str = "tiny", **fields: Any) -> ModelSpec:
        file = tmp_path / f"{name}.gguf"
        if not file.exists():
            shutil.copy(MODEL, file)
        return ModelSpec(**{"name": name, "file": str(file), "threads": 1, "context": 256, **fields})

    return make


@pytest.fixture
def open_models(folder: Path, clock: HandClock, memory: Memory) -> Callable[..., Any]:
    @asynccontextmanager
    async def open_one(*specs: ModelSpec, **options: Any) -> AsyncIterator[Models]:
        models = Models(specs, **{"folder": folder, "clock": clock, "room": memory, **options})
        try:
            yield models
        finally:
            await models.aclose()

    return open_one


@pytest.fixture
def report() -> Prompt:
    """What the small model was made for."""
    return Prompt(messages=(Message(role=Role.USER, content="fridge-07 temperature 14.2 C, limit 8 C"),), max_tokens=60)

"""Answers for the models of the agent: `ganglion models list`."""

import msgspec

from engine.control import Verb
from engine.control.messages import Answer, Nothing
from plugins.llm.service.models import Models

__all__ = ["AgentModels", "ModelDesk", "ModelInfo"]


class ModelInfo(Answer, frozen=True, kw_only=True):
    """How a model is now."""

    name: str
    provider: str
    """local, openai, anthropic, ollama."""
    state: str
    """resident (in memory), loading, idle (not in memory), quarantined (its native code killed the process twice),
    stuck (its native code hangs), damaged (what is known of it can't be read), remote."""
    memory_bytes: int = 0
    """Of a resident one."""
    waiting: int = 0
    """Attempts that wait for their turn."""
    running: int = 0
    """Attempts whose turn it is."""
    generations: int = 0
    """Since the agent's start."""
    output_tokens: int = 0
    """The same."""
    problem: str = ""
    """Why it can't be used, and what to do."""


class AgentModels(Answer, frozen=True, kw_only=True):
    """The answer of the verb `models`."""

    agent: str
    models: list[ModelInfo]
    """In the order of their names."""


class ModelDesk:
    """Answers for the models."""

    def __init__(self, models: Models, agent: str) -> None:
        self._models = models
        self._agent = agent

    @property
    def verb(self) -> Verb:
        return Verb(
            name="models", description="The language models, and who waits for them.", request=Nothing,
            answer=AgentModels, handle=self._answer,
        )  # fmt: skip

    async def _answer(self, request: Nothing) -> AgentModels:
        infos = [msgspec.convert(state, ModelInfo, from_attributes=True) for state in self._models.states()]
        return AgentModels(agent=self._agent, models=infos)

"""A local model in memory, and one on its way there."""

import asyncio

from plugins.llm.provider import Provider
from plugins.llm.spec import ModelSpec

__all__ = ["Load", "Resident", "stuck_text"]


class Resident:
    """A model in memory."""

    def __init__(self, spec: ModelSpec, provider: Provider, size: int, now: float) -> None:
        self.spec = spec
        self.provider = provider
        self.size = size
        self.users = 0
        self.used_at = now
        """Clock's monotonic seconds when it was given back last."""
        self.is_leaving = False
        """It is unloaded as soon as nobody uses it; who wants it then loads it again."""
        self.is_stuck = False
        """Its native code does not come back."""


class Load:
    """A model on its way into memory."""

    task: "asyncio.Task[None]"

    def __init__(self) -> None:
        self.claims = 0
        """Askers that wait for it."""
        self.resident: Resident | None = None


def stuck_text(name: str) -> str:
    """Of a model whose native code does not come back."""
    return f"model {name}: its native code hangs since an earlier generation; restart the agent to use it again"

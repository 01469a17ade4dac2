"""The service that finds, loads and unloads models, gives turns, and falls back."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import msgspec

from engine.clock import Clock, SystemClock
from plugins.llm.asking import Answer, Asker
from plugins.llm.conversation import Prompt
from plugins.llm.spec import ModelSpec

__all__ = ["ModelState", "Models"]


class ModelState(msgspec.Struct, frozen=True, kw_only=True):
    """How a model is now; what `ganglion models` and presence show."""

    name: str
    provider: str
    state: str
    """resident, loading, idle (not loaded), quarantined, remote."""
    memory_bytes: int = 0
    """Of a resident one."""
    waiting: int = 0
    """Askers in its queue."""
    running: int = 0
    generations: int = 0
    """Since the start."""
    output_tokens: int = 0
    problem: str = ""
    """Why it can't be used, and what to do."""


class Models:
    """All models of an agent. `specs` are the configuration's; those in `folder` (written by `ganglion models add`)
    are read again when they change, so that a new one needs no restart. Nothing is loaded before it is asked for."""

    def __init__(
        self,
        specs: Iterable[ModelSpec] = (),
        *,
        folder: Path | None = None,
        secret: Callable[[str], str | None] = lambda name: None,
        clock: Clock | None = None,
    ) -> None:
        """`secret` gives the value of a secret by name."""
        self._clock = clock or SystemClock()
        raise NotImplementedError

    async def generate(self, names: Sequence[str], prompt: Prompt, asker: Asker) -> Answer:
        """The first of these models that can. Raises the last ModelError; with several names, its message tells all."""
        raise NotImplementedError

    async def count(self, names: Sequence[str], prompt: Prompt) -> int:
        """Tokens that the prompt takes at most with any of them; nothing is loaded for it."""
        raise NotImplementedError

    def identity(self, names: Sequence[str]) -> str:
        """What tells these models from others, for keys of a cache: names, files' checksums or urls."""
        raise NotImplementedError

    def states(self) -> tuple[ModelState, ...]:
        """Every model, in the order of their names."""
        raise NotImplementedError

    @property
    def resident(self) -> tuple[str, ...]:
        """Names of the local models that are in memory."""
        raise NotImplementedError

    async def run(self) -> None:
        """Unload what nobody asks for any more, and what the machine has no room for, until cancelled."""
        raise NotImplementedError

    async def aclose(self) -> None:
        """Unload everything."""
        raise NotImplementedError

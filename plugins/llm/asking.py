"""Who asks a model, and what the answer is together with how it came about."""

from contextlib import AbstractContextManager
from typing import Protocol

import msgspec

from engine.ports import Http
from plugins.llm.conversation import Reply
from plugins.llm.errors import ModelError
from plugins.llm.provider import Listener

__all__ = ["Answer", "Asker"]


class Asker(Listener, Protocol):
    """One attempt of a node; asking.py's users make it from their Context."""

    @property
    def execution(self) -> str:
        """Turns go round by execution: one that asks much does not hold up the others."""
        ...

    @property
    def http(self) -> Http: ...

    @property
    def stall(self) -> float | None:
        """Seconds without a sign of life after which it gives up; None: what the model's spec says."""
        ...

    def waiting(self, reason: str) -> AbstractContextManager[None]:
        """Within the block the attempt waits, and `ps` says for what (see Context.waiting)."""
        ...

    def restart(self) -> None:
        """What was heard so far is void: another model begins anew."""
        ...


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A reply, and who gave it."""

    reply: Reply
    model: str
    """The name in the catalogue."""
    passed_over: tuple[tuple[str, ModelError], ...] = ()
    """Models before it in the chain, and why they did not answer."""
    waited: float = 0.0
    """Seconds until it had its turn."""

"""The contract that every kind of model keeps; tests/plugins/llm/contract holds each of them to it."""

from typing import Protocol

from engine.ports import Http
from plugins.llm.conversation import Prompt, Reply

__all__ = ["Listener", "Provider"]


class Listener(Protocol):
    """Who waits for a generation."""

    def heard(self, text: str) -> None:
        """More of the answer's text, whole characters, on the event loop. An empty one is a sign of life: a batch of
        the prompt was read, or the provider says that it is at work."""
        ...

    @property
    def stopped(self) -> bool:
        """Nobody wants the rest: end with Trouble.STOPPED after the token, or the batch of the prompt, that is under
        way. May be read from any thread."""
        ...


class Provider(Protocol):
    """One model, ready to be asked. Turns, time limits and fallback are the caller's: `Models`."""

    @property
    def has_tools(self) -> bool:
        """It takes `Prompt.tools` as they are. Otherwise the caller turns them into a schema (protocol.py)."""
        ...

    def count(self, prompt: Prompt) -> int:
        """Tokens that reading the prompt takes at most: exact where the tokenizer is here and loaded, else a guess
        that is rather too high."""
        ...

    async def generate(self, prompt: Prompt, listener: Listener, http: Http) -> Reply:
        """One generation. `http` is the asker's client (remote ones use no other: it counts). Raises ModelError;
        cancelled, it ends within one token or one batch of the prompt and leaves nothing running."""
        ...

    async def aclose(self) -> None:
        """Give back what it holds: memory, threads. Nothing is being generated."""
        ...

"""How one kind of server is spoken to: a translation of the conversation there and of the stream back."""

from collections.abc import Mapping
from typing import Protocol

from engine.values import Json
from plugins.llm.conversation import Prompt
from plugins.llm.remote.concessions import Asking
from plugins.llm.remote.draft import Draft
from plugins.llm.remote.exchange import Reader

__all__ = ["Dialect"]


class Dialect(Protocol):
    """Knows the wire, and nothing of time, errors' meaning, or other tries. Without state."""

    default_url: str
    """Where `url` of the model is empty."""
    optional: Mapping[str, str]
    """Fields that may be left out, each with the pattern that names it in a refusal; the first that fits goes."""
    schema_fields: str
    """The pattern that names in a refusal what an answer is held to its schema with."""

    def address(self, url: str) -> str:
        """The whole URL for a model's `url`."""
        ...

    def headers(self, key: str) -> dict[str, str]:
        """With the key, if there is one; the content type comes on top."""
        ...

    def body(self, prompt: Prompt, model: str, asking: Asking) -> dict[str, Json]:
        """The request; messages are as `history.taken` gives them."""
        ...

    def reader(self, draft: Draft, prompt: Prompt, asking: Asking) -> Reader: ...

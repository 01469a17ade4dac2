"""Which remote provider a model has."""

from collections.abc import Callable

from plugins.llm.provider import Provider
from plugins.llm.spec import ModelSpec

__all__ = ["remote"]


def remote(spec: ModelSpec, secret: Callable[[str], str | None]) -> Provider:
    """The provider of a remote model; nothing is sent yet. Raises ModelError (missing: its key)."""
    raise NotImplementedError

"""A GGUF model in this process: the provider's contract."""

from plugins.llm.provider import Provider
from plugins.llm.spec import ModelSpec

__all__ = ["memory_needed", "opened"]


def memory_needed(spec: ModelSpec) -> int:
    """Bytes that the model will hold: weights, the state of its context, buffers; from the file's own header.

    Raises ModelError (missing, damaged).
    """
    raise NotImplementedError


async def opened(spec: ModelSpec) -> Provider:
    """Load a model on a thread of its own, which nobody else uses. Its file was verified by the caller.

    Raises ModelError (missing, damaged, memory, failed); cancelled, it gives back what was loaded.
    """
    raise NotImplementedError

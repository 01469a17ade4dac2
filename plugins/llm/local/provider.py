"""A GGUF model in this process: the provider's contract."""

import asyncio
import os
import threading
from collections.abc import Callable

import msgspec

from engine.ports import Http
from plugins.llm.conversation import Prompt, Reply
from plugins.llm.local.gguf import read_header
from plugins.llm.local.llama import Llama
from plugins.llm.local.loaded import Loaded
from plugins.llm.local.memory import context_of, memory_of, put_by_bytes
from plugins.llm.local.worker import Worker
from plugins.llm.provider import Listener, Provider
from plugins.llm.spec import ModelSpec

__all__ = ["LocalModel", "memory_needed", "opened"]

SMALL_BYTES = 64 * 1024 * 1024
"""Of weights: less is not divided among processors. The threads of one model wait for each other a hundred times for a
token: where somebody else wants a processor, too, two of them make 60 tokens/s of a small model, one 4,000."""


class LocalModel:
    """A loaded model and its thread; implements Provider. Made by `opened`."""

    def __init__(self, spec: ModelSpec, worker: Worker, llama: Llama) -> None:
        self._spec = spec
        self._worker = worker
        self._llama = llama

    @property
    def has_tools(self) -> bool:
        """Tools are told in words and answered under a grammar: the same for every model, and always valid."""
        return False

    def count(self, prompt: Prompt) -> int:
        """Exact."""
        return len(self._llama.chat.tokens(prompt.messages))

    async def generate(self, prompt: Prompt, listener: Listener, http: Http) -> Reply:
        """See Provider. One at a time: a second one waits for the first."""
        loop = asyncio.get_running_loop()
        abandoned = threading.Event()

        def hear(text: str) -> None:
            if not abandoned.is_set():
                listener.heard(text)

        def tell(text: str) -> None:
            loop.call_soon_threadsafe(hear, text)

        def is_stopped() -> bool:
            return abandoned.is_set() or listener.stopped

        reply = await self._worker.do(lambda: self._llama.generate(prompt, tell, is_stopped), abandoned.set)
        return msgspec.structs.replace(reply, model=self._spec.model or self._spec.name)

    async def aclose(self) -> None:
        """See Provider."""
        await self._worker.do(self._llama.close)
        await self._worker.aclose()


def memory_needed(spec: ModelSpec) -> int:
    """Bytes that the model will hold: weights, the state of its context, buffers; from the file's own header.

    Raises ModelError (missing, damaged).
    """
    return memory_of(spec, read_header(spec.file))


async def opened(spec: ModelSpec) -> Provider:
    """Load a model on a thread of its own, which nobody else uses. Its file was verified by the caller.

    Raises ModelError (missing, damaged, memory, refused, failed); cancelled, it gives back what was loaded.
    """
    cancelled = threading.Event()
    worker = Worker(spec.name)
    try:
        llama = await worker.do(_loading(spec, cancelled), cancelled.set)
    except BaseException:
        await worker.aclose()
        raise
    return LocalModel(spec, worker, llama)


def _loading(spec: ModelSpec, cancelled: threading.Event) -> Callable[[], Llama]:
    def load() -> Llama:
        file = read_header(spec.file)
        threads = spec.threads or (1 if file.tensor_bytes < SMALL_BYTES else len(os.sched_getaffinity(0)))
        loaded = Loaded(spec, tokens=context_of(spec, file), threads=threads, is_cancelled=cancelled.is_set)
        try:
            return Llama(loaded, spec.chat_format, put_by_bytes(spec, file))
        except BaseException:
            loaded.close()
            raise

    return load

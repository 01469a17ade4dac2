"""A GGUF model in this process: the provider's contract."""

import asyncio
import os
import threading

import msgspec

from engine.ports import Http
from plugins.llm.conversation import Prompt, Reply
from plugins.llm.errors import ModelError, Trouble
from plugins.llm.guess import guessed_tokens
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
        self._is_closed = False

    @property
    def has_tools(self) -> bool:
        """Tools are told in words and answered under a grammar: the same for every model, and always valid."""
        return False

    def count(self, prompt: Prompt) -> int:
        """Exact; a guess once it is closed."""
        if self._is_closed:  # its vocabulary is gone
            return guessed_tokens(prompt)
        return len(self._llama.chat.tokens(prompt.messages))

    async def generate(self, prompt: Prompt, listener: Listener, http: Http) -> Reply:
        """See Provider. One at a time: a second one waits for the first."""
        if self._is_closed:
            raise ModelError(Trouble.FAILED, f"model {self._spec.name} was unloaded; ask again")
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
        """See Provider. The second time it does nothing."""
        if self._is_closed:
            return
        self._is_closed = True
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
    loaded: list[Llama] = []
    worker = Worker(spec.name)
    try:
        await worker.do(lambda: loaded.append(_load(spec, cancelled)), cancelled.set)
    except BaseException:
        for llama in loaded:  # ready in the moment in which nobody wanted it any more
            await worker.do(llama.close)
        await worker.aclose()
        raise
    return LocalModel(spec, worker, loaded[0])


def _load(spec: ModelSpec, cancelled: threading.Event) -> Llama:
    """On the worker's thread."""
    file = read_header(spec.file)
    threads = spec.threads or (1 if file.tensor_bytes < SMALL_BYTES else _processors())
    loaded = Loaded(spec, tokens=context_of(spec, file), threads=threads, is_cancelled=cancelled.is_set)
    try:
        return Llama(loaded, spec.chat_format, put_by_bytes(spec, file))
    except BaseException:
        loaded.close()
        raise


def _processors() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

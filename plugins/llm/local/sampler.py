"""Picks the next token; fresh for each generation, so that the same seed gives the same text."""

import secrets
from types import TracebackType
from typing import TYPE_CHECKING, Self

from plugins.llm.conversation import Prompt

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["Sampler"]


class Sampler:
    """llama.cpp's samplers for one prompt. Use it as a context manager on the model's thread."""

    def __init__(self, native: "ModuleType", vocab: object, context: object, prompt: Prompt) -> None:
        self._native = native
        self._vocab = vocab
        self._context = context
        self._chain = native.llama_sampler_chain_init(native.llama_sampler_chain_default_params())
        add = native.llama_sampler_chain_add
        if prompt.temperature <= 0:
            add(self._chain, native.llama_sampler_init_greedy())
        else:
            if prompt.top_p < 1:
                add(self._chain, native.llama_sampler_init_top_p(prompt.top_p, 1))
            add(self._chain, native.llama_sampler_init_temp(prompt.temperature))
            seed = secrets.randbits(32) if prompt.seed is None else prompt.seed & 0xFFFFFFFF
            add(self._chain, native.llama_sampler_init_dist(seed))

    def next(self) -> int:
        """The token after what is in the context."""
        return int(self._native.llama_sampler_sample(self._chain, self._context, -1))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._native.llama_sampler_free(self._chain)

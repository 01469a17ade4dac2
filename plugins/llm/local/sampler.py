"""Picks the next token; fresh for each generation, so that the same seed gives the same text."""

import ctypes
import math
import secrets
from array import array
from collections.abc import Callable
from functools import lru_cache
from types import TracebackType
from typing import TYPE_CHECKING, Self

from plugins.llm.conversation import Prompt
from plugins.llm.errors import ModelError, Trouble
from plugins.llm.local.grammar import grammar_of
from plugins.llm.local.library import complaints

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["Sampler"]

FORBIDDEN = -1e30
"""A token of less is one that the grammar does not allow (minus infinity)."""
MAX_TRIES = 300
"""Tokens that are looked at until one fits: there are 256 bytes that may be wrong."""
_CELLS, _CELL = 3, 4
"""A llama_token_data: id, logit and probability, of four bytes each."""


class Sampler:
    """llama.cpp's samplers for one prompt. Use it as a context manager on the model's thread.

    With a schema a token is picked as without one, and only looked at then: whether the grammar allows it. The whole
    vocabulary goes through the grammar only where it does not. For a vocabulary of 100,000 tokens that is the
    difference between microseconds and milliseconds for a token; the text is the same.
    """

    def __init__(self, native: "ModuleType", vocab: object, context: object, prompt: Prompt) -> None:
        """Raises ModelError (invalid_output) for a schema that can't be kept."""
        self._native = native
        self._vocab = vocab
        self._context = context
        self._sample = native.llama_sampler_sample
        self._grammar = _grammar(native, vocab, prompt)
        self._one = native.llama_token_data_array(data=(native.llama_token_data * 1)(), size=1)
        self._chain = native.llama_sampler_chain_init(native.llama_sampler_chain_default_params())
        add = native.llama_sampler_chain_add
        if prompt.temperature <= 0:
            add(self._chain, native.llama_sampler_init_greedy())
            return
        if prompt.top_p < 1:
            add(self._chain, native.llama_sampler_init_top_p(prompt.top_p, 1))
        add(self._chain, native.llama_sampler_init_temp(prompt.temperature))
        seed = secrets.randbits(32) if prompt.seed is None else prompt.seed & 0xFFFFFFFF
        add(self._chain, native.llama_sampler_init_dist(seed))

    def next(self, fits: Callable[[int], bool]) -> int:
        """The token after what is in the context, that the schema allows and that `fits`.

        Raises ModelError (failed) if no token does.
        """
        token: int = self._sample(self._chain, self._context, -1)
        if not (self._is_allowed(token) and fits(token)):
            token = self._allowed(fits)
        if self._grammar is not None:
            self._native.llama_sampler_accept(self._grammar, token)  # ends the process for what is not allowed
        return token

    def _is_allowed(self, token: int) -> bool:
        if self._grammar is None:
            return True
        one = self._one.data[0]
        one.id, one.logit, one.p = token, 1.0, 0.0
        self._one.size, self._one.sorted = 1, False
        self._native.llama_sampler_apply(self._grammar, ctypes.byref(self._one))
        return bool(one.logit > FORBIDDEN)

    def _allowed(self, fits: Callable[[int], bool]) -> int:
        """The token that is picked among those that the grammar allows, and that fits."""
        native, count = self._native, self._native.llama_vocab_n_tokens(self._vocab)
        rows = (native.llama_token_data * count)()
        cells = memoryview(rows).cast("B")
        logits = array("f", ctypes.string_at(native.llama_get_logits_ith(self._context, -1), count * _CELL))
        for _ in range(MAX_TRIES):
            cells[:] = _rows(count)
            cells.cast("f")[1::_CELLS] = memoryview(logits)
            every = native.llama_token_data_array(data=rows, size=count, selected=-1, sorted=False)
            if self._grammar is not None:
                native.llama_sampler_apply(self._grammar, ctypes.byref(every))
            native.llama_sampler_apply(self._chain, ctypes.byref(every))
            if every.selected < 0 or every.data[every.selected].logit <= FORBIDDEN:
                break
            token = int(every.data[every.selected].id)
            if fits(token):
                return token
            logits[token] = -math.inf
        raise ModelError(Trouble.FAILED, "the model has no token that may follow; simplify the schema")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._native.llama_sampler_free(self._chain)
        if self._grammar is not None:
            self._native.llama_sampler_free(self._grammar)


@lru_cache(maxsize=2)
def _rows(count: int) -> bytes:
    """A row for each token of the vocabulary: its id, and zeros for logit and probability."""
    rows = bytearray(count * _CELLS * _CELL)
    memoryview(rows).cast("i")[0::_CELLS] = memoryview(array("i", range(count)))
    return bytes(rows)


def _grammar(native: "ModuleType", vocab: object, prompt: Prompt) -> object:
    """The native grammar; None without a schema."""
    if prompt.schema is None:
        return None
    try:
        text = grammar_of(prompt.schema)
    except ValueError as error:
        raise ModelError(Trouble.INVALID, str(error)) from error
    complaints.begin()
    grammar = native.llama_sampler_init_grammar(vocab, text.encode(), b"root")
    said = complaints.end()
    if not grammar:
        raise ModelError(
            Trouble.INVALID, f"llama.cpp does not take the schema's grammar ({said}); make the schema simpler"
        )
    return grammar

"""What a model has read: of the next prompt only what is new is read."""

import ctypes
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["State"]

WORTH_TOKENS = 64
"""A state is put by, or taken back, for at least that many tokens."""


class State:
    """The context of one model, on its thread.

    What the next prompt shares with the last one stays. Where conversations take turns (workflows with system prompts
    of their own, agent loops that run beside each other) the last state is put by before it is overwritten, within
    `limit` bytes, those longest unused dropped first; copying a token's state back takes a small part of reading it.
    """

    def __init__(self, native: "ModuleType", context: object, limit: int) -> None:
        self._native = native
        self._context = context
        self._memory = native.llama_get_memory(context)
        self._limit = limit
        self._put_by: list[tuple[list[int], ctypes.Array[ctypes.c_uint8]]] = []
        """The longest unused first."""
        self.seen: list[int] = []
        """Tokens in the context. Who decodes adds to them."""

    def begin(self, tokens: Sequence[int]) -> int:
        """Make the context hold what it can of a prompt; gives the number of those tokens. The last token is always
        read again: only then it is known what follows it."""
        here = _shared(self.seen, tokens)
        best = max(self._put_by, key=lambda state: _shared(state[0], tokens), default=None)
        there = _shared(best[0], tokens) if best else 0
        if len(self.seen) - here >= WORTH_TOKENS and 2 * here < len(self.seen):
            self._put_away()
        if best and there - here >= WORTH_TOKENS:
            self._take_back(best)
        return self._cut(min(_shared(self.seen, tokens), len(tokens) - 1))

    def clear(self) -> None:
        """Nothing is known of the context any more."""
        self._native.llama_memory_clear(self._memory, False)
        self.seen = []

    def _cut(self, length: int) -> int:
        if not self._native.llama_memory_seq_rm(self._memory, 0, length, -1):
            self.clear()  # a kind of model that can't forget a part
            return 0
        del self.seen[length:]
        return length

    def _put_away(self) -> None:
        known = max((_shared(tokens, self.seen) for tokens, _ in self._put_by), default=0)
        size = self._native.llama_state_seq_get_size(self._context, 0)
        if len(self.seen) - known < WORTH_TOKENS or size > self._limit:
            return
        self._put_by = [state for state in self._put_by if _shared(state[0], self.seen) < len(state[0])]
        data = (ctypes.c_uint8 * size)()
        if self._native.llama_state_seq_get_data(self._context, data, size, 0) == size:
            self._keep((self.seen.copy(), data))

    def _take_back(self, state: tuple[list[int], "ctypes.Array[ctypes.c_uint8]"]) -> None:
        tokens, data = state
        self.clear()
        if self._native.llama_state_seq_set_data(self._context, data, len(data), 0) == 0:
            self.clear()
            return
        self.seen = tokens.copy()
        self._keep(state)

    def _keep(self, state: tuple[list[int], "ctypes.Array[ctypes.c_uint8]"]) -> None:
        self._put_by = [*(other for other in self._put_by if other is not state), state]
        while sum(len(data) for _, data in self._put_by) > self._limit:
            del self._put_by[0]


def _shared(one: Sequence[int], other: Sequence[int]) -> int:
    """Tokens that both begin with."""
    least = min(len(one), len(other))
    return next((i for i in range(least) if one[i] != other[i]), least)

"""A model in memory, on the thread that owns it: reads a prompt, writes token by token, reuses what it has read."""

import ctypes
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from plugins.llm.conversation import Finish, Prompt, Reply, Usage
from plugins.llm.errors import ModelError, Trouble
from plugins.llm.local.chat import Chat
from plugins.llm.local.loaded import Loaded
from plugins.llm.local.sampler import Sampler
from plugins.llm.local.state import State
from plugins.llm.local.words import Words

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["Llama"]

TELL_SECONDS = 0.015
"""The event loop is told of new text at most that often: waking it for each token takes more than a small model needs
for the token."""


class Llama:
    """Everything but `chat` belongs to the worker's thread."""

    def __init__(self, loaded: Loaded, chat_format: str, put_by: int) -> None:
        """`put_by`: bytes for states of other conversations. Raises ModelError (refused)."""
        native = loaded.native
        self.chat = Chat(native, loaded.model, chat_format)
        self._loaded = loaded
        self._native: ModuleType = native
        self._context = loaded.context
        self._size = loaded.tokens
        self._batch = loaded.batch
        self._vocab = native.llama_model_get_vocab(loaded.model)
        self._state = State(native, loaded.context, put_by)
        self._pieces: dict[int, bytes | None] = {}
        self._buffer = ctypes.create_string_buffer(256)
        self._tokens = (native.llama_token * self._batch)()
        self._one = native.llama_batch_get_one(self._tokens, 1)
        """The batch of one token, made once: it is used for each."""

    def close(self) -> None:
        """Give the memory back."""
        self._loaded.close()

    def generate(self, prompt: Prompt, tell: Callable[[str], None], is_stopped: Callable[[], bool]) -> Reply:
        """One generation. `tell` gets text, or "" for a sign of life; `is_stopped` is asked before each step."""
        start = time.perf_counter()
        tokens = self.chat.tokens(prompt.messages)
        self._check_length(tokens)
        words = Words(prompt.stop)
        with Sampler(self._native, self._vocab, self._context, prompt) as sampler:
            reused = self._read(tokens, tell, is_stopped)
            room = min(prompt.max_tokens, self._size - len(tokens))
            finish, count, first = self._write(sampler, words, room, tell, is_stopped)
        if not words.text.strip():
            raise ModelError(
                Trouble.EMPTY,
                "the model wrote nothing; see whether prompt, max_tokens and stop let it say something",
            )
        return Reply(
            text=words.text,
            finish=finish,
            usage=Usage(input=len(tokens), output=count, reused=reused),
            first_token=first - start,
            seconds=time.perf_counter() - start,
        )

    def _write(
        self,
        sampler: Sampler,
        words: Words,
        room: int,
        tell: Callable[[str], None],
        is_stopped: Callable[[], bool],
    ) -> tuple[Finish, int, float]:
        """Token by token; why it ended, after how many, and when the first one was there. What is done here for each
        token costs a small model its speed: see bench/llm.py."""

        def fits(token: int) -> bool:
            piece = self._piece(token)
            return piece is None or words.takes(piece)

        finish, count, first, told, pending = Finish.LENGTH, 0, 0.0, 0.0, ""
        while count < room:
            token = sampler.next(fits)
            now = time.perf_counter()
            if is_stopped():
                raise _stopped()
            if count == 0:
                first = now
            count += 1
            piece = self._piece(token)
            if piece is not None:
                pending += words.add(piece)
            if piece is None or words.stopped:
                finish = Finish.STOP
                break
            if now - told >= TELL_SECONDS and pending:
                tell(pending)
                pending, told = "", now
            if count < room:
                self._tokens[0] = token
                self._decode(self._one, token)
        pending += words.end()
        if pending:
            tell(pending)
        return finish, count, first

    def _check_length(self, tokens: list[int]) -> None:
        if not tokens:
            raise ModelError(Trouble.EMPTY, "the prompt is empty, and the model's format adds nothing; say something")
        if len(tokens) >= self._size:
            raise ModelError(
                Trouble.TOO_LONG,
                f"the prompt has {len(tokens)} tokens, the model's context is {self._size} and the answer needs room, "
                "too; shorten the prompt, or set a larger context for the model",
            )

    def _piece(self, token: int) -> bytes | None:
        """The bytes of a token; None for one that ends the answer."""
        try:
            return self._pieces[token]
        except KeyError:
            pass
        native, buffer = self._native, self._buffer
        piece: bytes | None = None
        if not native.llama_vocab_is_eog(self._vocab, token):
            length = native.llama_token_to_piece(self._vocab, token, buffer, len(buffer), 0, False)
            if length < 0:
                buffer = ctypes.create_string_buffer(-length)
                length = native.llama_token_to_piece(self._vocab, token, buffer, len(buffer), 0, False)
            piece = buffer.raw[:length]
        self._pieces[token] = piece
        return piece

    def _read(self, tokens: list[int], tell: Callable[[str], None], is_stopped: Callable[[], bool]) -> int:
        """Read a prompt, but for what it shares with what is in the context; gives the number of those tokens."""
        shared = self._state.begin(tokens)
        for at in range(shared, len(tokens), self._batch):
            if is_stopped():
                raise _stopped()
            part = tokens[at : at + self._batch]
            self._tokens[: len(part)] = part
            self._decode(self._native.llama_batch_get_one(self._tokens, len(part)), *part)
            if at + self._batch < len(tokens):  # after the last one the first token comes at once
                tell("")
        return shared

    def _decode(self, batch: object, *tokens: int) -> None:
        code = self._native.llama_decode(self._context, batch)
        if code:
            self._state.clear()
            raise ModelError(Trouble.FAILED, f"llama.cpp failed to read {len(tokens)} tokens (code {code}); try again")
        self._state.seen += tokens


def _stopped() -> ModelError:
    return ModelError(Trouble.STOPPED, "stopped by who asked")

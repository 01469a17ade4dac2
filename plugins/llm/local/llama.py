"""A model in memory, on the thread that owns it: reads a prompt, writes token by token, reuses what it has read."""

import ctypes
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from plugins.llm.conversation import Finish, Prompt, Reply, Usage
from plugins.llm.errors import ModelError, Trouble
from plugins.llm.local.chat import Chat
from plugins.llm.local.library import complaints, library
from plugins.llm.local.sampler import Sampler
from plugins.llm.local.state import State
from plugins.llm.local.words import Words
from plugins.llm.spec import ModelSpec

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["Llama"]

TELL_SECONDS = 0.015
"""The event loop is told of new text at most that often: waking it for each token takes more than a small model needs
for the token."""


class Llama:
    """Everything but `chat` belongs to the worker's thread."""

    def __init__(
        self,
        spec: ModelSpec,
        *,
        context: int,
        threads: int,
        put_by: int = 0,
        is_cancelled: Callable[[], bool] = lambda: False,
    ) -> None:
        """Load it. Raises ModelError (missing, memory, failed, refused, cancelled)."""
        native = library()
        self._native: ModuleType = native
        self._model: object = None
        self._context: object = None
        self._size = context
        self._batch = max(1, min(spec.batch, context))
        self._pieces: dict[int, bytes] = {}
        complaints.begin()
        try:
            self._model = self._loaded(spec, is_cancelled)
            self._context = self._made(spec, threads)
            self._check_kind(spec)
            self.chat = Chat(native, self._model, spec.chat_format)
        except BaseException:
            complaints.end()
            self.close()
            raise
        complaints.end()
        self._vocab = native.llama_model_get_vocab(self._model)
        self._state = State(native, self._context, put_by)
        self._tokens = (native.llama_token * self._size)()
        self._buffer = ctypes.create_string_buffer(256)

    def _loaded(self, spec: ModelSpec, is_cancelled: Callable[[], bool]) -> object:
        native = self._native
        params = native.llama_model_default_params()
        params.n_gpu_layers = spec.gpu_layers
        # AMX tiles end the process on virtual machines that show them and do not keep their configuration (SIGILL in
        # tilezero); without these buffers the same build takes AVX-512.
        params.use_extra_bufts = b"AMX_INT8 = 1" not in native.llama_print_system_info()
        params.progress_callback = native.llama_progress_callback(lambda _part, _data: not is_cancelled())
        model = native.llama_model_load_from_file(spec.file.encode(), params)
        if is_cancelled():
            if model is not None:
                native.llama_model_free(model)
            raise ModelError(Trouble.STOPPED, f"loading {spec.name} was cancelled")
        if model is None:
            raise self._no_load(f"llama.cpp can't load {spec.file}")
        return model

    def _made(self, spec: ModelSpec, threads: int) -> object:
        params = self._native.llama_context_default_params()
        params.n_ctx = self._size
        params.n_batch = params.n_ubatch = self._batch
        params.n_threads = params.n_threads_batch = threads
        context = self._native.llama_init_from_model(self._model, params)
        if context is None:
            raise self._no_load(f"llama.cpp can't make a context of {self._size} tokens for {spec.name}")
        return context

    def _check_kind(self, spec: ModelSpec) -> None:
        native = self._native
        if not native.llama_get_memory(self._context) or native.llama_model_has_encoder(self._model):
            raise ModelError(
                Trouble.REFUSED,
                f"{spec.name} makes no text (it is for embeddings or translation); use a model for chats",
            )

    def _no_load(self, what: str) -> ModelError:
        said = complaints.end()
        if "alloc" in said or "memory" in said:
            return ModelError(Trouble.MEMORY, f"{what}: {said}; free memory, or set a smaller context")
        return ModelError(Trouble.FAILED, f"{what}: {said or 'it does not say why'}")

    def close(self) -> None:
        """Give the memory back; may be called twice."""
        if self._context is not None:
            self._native.llama_free(self._context)
            self._context = None
        if self._model is not None:
            self._native.llama_model_free(self._model)
            self._model = None

    def generate(self, prompt: Prompt, tell: Callable[[str], None], is_stopped: Callable[[], bool]) -> Reply:
        """One generation. `tell` gets text, or "" for a sign of life; `is_stopped` is asked before each step."""
        start = time.perf_counter()
        tokens = self.chat.tokens(prompt.messages)
        self._check_length(tokens)
        words = Words(prompt.stop)
        with Sampler(self._native, self._vocab, self._context, prompt) as sampler:
            reused = self._read(tokens, tell, is_stopped)
            first, told, pending, count = 0.0, 0.0, "", 0
            finish = Finish.LENGTH

            def fits(token: int) -> bool:
                return words.takes(self._piece(token))

            room = min(prompt.max_tokens, self._size - len(tokens))
            while count < room:
                token = sampler.next(fits)
                if is_stopped():
                    raise ModelError(Trouble.STOPPED, "stopped by who asked")
                count += 1
                now = time.perf_counter()
                first = first or now - start
                if self._native.llama_vocab_is_eog(self._vocab, token):
                    finish = Finish.STOP
                    break
                pending += words.add(self._piece(token))
                if words.stopped:
                    finish = Finish.STOP
                    break
                if pending and now - told >= TELL_SECONDS:
                    tell(pending)
                    pending, told = "", now
                if count < room:
                    self._decode([token])
        pending += words.end()
        if pending:
            tell(pending)
        if not words.text.strip():
            raise ModelError(
                Trouble.EMPTY,
                "the model wrote nothing; see whether prompt, max_tokens and stop let it say something",
            )
        return Reply(
            text=words.text,
            finish=finish,
            usage=Usage(input=len(tokens), output=count, reused=reused),
            first_token=first,
            seconds=time.perf_counter() - start,
        )

    def _check_length(self, tokens: list[int]) -> None:
        if len(tokens) >= self._size:
            raise ModelError(
                Trouble.TOO_LONG,
                f"the prompt has {len(tokens)} tokens, the model's context is {self._size} and the answer needs room, "
                "too; shorten the prompt, or set a larger context for the model",
            )

    def _piece(self, token: int) -> bytes:
        piece = self._pieces.get(token)
        if piece is None:
            buffer = self._buffer
            length = self._native.llama_token_to_piece(self._vocab, token, buffer, len(buffer), 0, False)
            if length < 0:
                buffer = ctypes.create_string_buffer(-length)
                length = self._native.llama_token_to_piece(self._vocab, token, buffer, len(buffer), 0, False)
            piece = self._pieces[token] = buffer.raw[:length]
        return piece

    def _read(self, tokens: list[int], tell: Callable[[str], None], is_stopped: Callable[[], bool]) -> int:
        """Read a prompt, but for what it shares with what is in the context; gives the number of those tokens."""
        shared = self._state.begin(tokens)
        for at in range(shared, len(tokens), self._batch):
            if is_stopped():
                raise ModelError(Trouble.STOPPED, "stopped by who asked")
            self._decode(tokens[at : at + self._batch])
            tell("")
        return shared

    def _decode(self, tokens: list[int]) -> None:
        count = len(tokens)
        self._tokens[:count] = tokens
        code = self._native.llama_decode(self._context, self._native.llama_batch_get_one(self._tokens, count))
        if code:
            self._state.clear()
            raise ModelError(Trouble.FAILED, f"llama.cpp failed to read {count} tokens (code {code}); try again")
        self._state.seen += tokens

"""A file in memory: the model and one context of llama.cpp."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from plugins.llm.errors import ModelError, Trouble
from plugins.llm.local.library import complaints, library
from plugins.llm.spec import ModelSpec

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["Loaded"]


class Loaded:
    """What native code holds, until `close`, which belongs on the same thread."""

    def __init__(self, spec: ModelSpec, *, tokens: int, threads: int, is_cancelled: Callable[[], bool]) -> None:
        """Load it with a context of so many tokens. Raises ModelError (missing, memory, failed, refused, cancelled)."""
        self.native: ModuleType = library()
        self.model: object = None
        self.context: object = None
        self.tokens = tokens
        self.batch = max(1, min(spec.batch, tokens))
        complaints.begin()
        try:
            self.model = self._load(spec, is_cancelled)
            self.context = self._make(spec, threads)
            self._check_kind(spec)
        except BaseException:
            self.close()
            raise
        finally:
            complaints.end()

    def _load(self, spec: ModelSpec, is_cancelled: Callable[[], bool]) -> object:
        native = self.native
        params = native.llama_model_default_params()
        params.n_gpu_layers = spec.gpu_layers
        # A build with AMX ends the process at its first tile instruction, where the compiler dropped the tiles' set-up
        # (llama.cpp pull request 26954); without these buffers it takes AVX-512.
        params.use_extra_bufts = b"AMX_INT8 = 1" not in native.llama_print_system_info()
        progress = native.llama_progress_callback(lambda _part, _data: not is_cancelled())
        params.progress_callback = progress
        model = native.llama_model_load_from_file(spec.file.encode(), params)
        if is_cancelled():
            if model is not None:
                native.llama_model_free(model)
            raise ModelError(Trouble.STOPPED, f"loading {spec.name} was cancelled")
        if model is None:
            raise _no_load(f"llama.cpp can't load {spec.file}")
        return model

    def _make(self, spec: ModelSpec, threads: int) -> object:
        params = self.native.llama_context_default_params()
        params.n_ctx = self.tokens
        params.n_batch = params.n_ubatch = self.batch
        params.n_threads = params.n_threads_batch = threads
        context = self.native.llama_init_from_model(self.model, params)
        if context is None:
            raise _no_load(f"llama.cpp can't make a context of {self.tokens} tokens for {spec.name}")
        return context

    def _check_kind(self, spec: ModelSpec) -> None:
        if not self.native.llama_get_memory(self.context) or self.native.llama_model_has_encoder(self.model):
            raise ModelError(
                Trouble.REFUSED,
                f"{spec.name} makes no text (it is for embeddings or translation); use a model for chats",
            )

    def close(self) -> None:
        """Give the memory back; may be called twice."""
        if self.context is not None:
            self.native.llama_free(self.context)
            self.context = None
        if self.model is not None:
            self.native.llama_model_free(self.model)
            self.model = None


def _no_load(what: str) -> ModelError:
    said = complaints.end()
    if "alloc" in said or "memory" in said:
        return ModelError(Trouble.MEMORY, f"{what}: {said}; free memory, or set a smaller context")
    return ModelError(Trouble.FAILED, f"{what}: {said or 'it does not say why'}")

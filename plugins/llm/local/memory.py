"""How much memory a model takes, guessed from its file's header; rather too much than too little."""

from plugins.llm.local.gguf import ModelFile
from plugins.llm.spec import ModelSpec

__all__ = ["LONGEST_CONTEXT", "context_of", "memory_of", "put_by_bytes"]

LONGEST_CONTEXT = 4096
"""Tokens, unless the spec asks for more: what a model was trained for may take more memory than the machine has."""
RUNTIME_BYTES = 12 * 1024 * 1024
"""Graphs, vocabulary and what else llama.cpp makes for every model."""
MOST_PUT_BY = 512 * 1024 * 1024
NUMBER_BYTES = 2
"""The context is kept as f16."""


def context_of(spec: ModelSpec, file: ModelFile) -> int:
    """Tokens of the context that the model gets."""
    return spec.context or min(file.context or LONGEST_CONTEXT, LONGEST_CONTEXT)


def state_bytes(spec: ModelSpec, file: ModelFile) -> int:
    """Of a full context: a key and a value for each token and each KV head."""
    return context_of(spec, file) * file.kv_heads * (file.key_length + file.value_length) * NUMBER_BYTES


def put_by_bytes(spec: ModelSpec, file: ModelFile) -> int:
    """What states put by may take: as much as the context."""
    return min(state_bytes(spec, file), MOST_PUT_BY)


def memory_of(spec: ModelSpec, file: ModelFile) -> int:
    """Weights, the state of the context, states put by, and the numbers of one batch."""
    context = context_of(spec, file)
    row = 4 * (file.vocabulary + 2 * file.feed_forward + 6 * file.embedding) + 2 * context
    states = state_bytes(spec, file) + put_by_bytes(spec, file)
    return file.tensor_bytes + states + min(spec.batch, context) * row + 128 * file.vocabulary + RUNTIME_BYTES

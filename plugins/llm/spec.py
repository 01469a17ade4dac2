"""What is known of a model beforehand."""

from enum import StrEnum

import msgspec

__all__ = ["ModelSpec", "Source"]


class Source(StrEnum):
    """Who provides a model."""

    LOCAL = "local"
    """llama.cpp in this process, from a GGUF file."""
    OPENAI = "openai"
    """A server with OpenAI's chat completions."""
    ANTHROPIC = "anthropic"
    OLLAMA = "ollama"


class ModelSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """`[models.<name>]` of the configuration (agent/config/models.py says what each means to people), or what
    `ganglion models add` has written beside the file."""

    name: str
    provider: Source = Source.LOCAL
    file: str = ""
    """Absolute path of a GGUF file."""
    sha256: str = ""
    """Lower-case hex; empty: any."""
    context: int = 0
    """Tokens; 0: what it was trained for, 4,096 at most. Of remote ones only Ollama is told: it cuts longer prompts."""
    batch: int = 256
    """Tokens of a prompt that are read at once: a cancel waits for one batch."""
    threads: int = 0
    """0: one for each processor; one alone for a small model."""
    gpu_layers: int = 0
    """-1: all."""
    chat_format: str = ""
    """Empty: the template in the file, rendered by llama.cpp itself; else a name that llama.cpp knows (chatml)."""
    keep_alive: float = 300.0
    """Seconds without a question after which it is unloaded; 0: at once, negative: never."""
    max_ram: int = 0
    """Bytes that it may need; 0: what is free."""
    url: str = ""
    model: str = ""
    """What the provider calls it; empty: the name."""
    key: str = ""
    """Name of the secret that holds the API key; empty: none."""
    concurrency: int = 4
    """Of a remote one: generations at the same time."""
    queue: int = 256
    """Askers that may wait."""
    stall: float = 60.0
    """Seconds without a sign of life after which a generation is given up."""

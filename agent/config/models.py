"""The language models that an agent knows from its configuration: `[models.<name>]`."""

import re
from typing import Annotated
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from agent.config.section import Section
from agent.config.units import Duration, KeepAlive, Size
from agent.secret_files import NAME as SECRET_NAME
from plugins.llm.service.catalogue import NAME
from plugins.llm.spec import ModelSpec, Source

__all__ = ["MODEL_SAMPLES", "Model", "check_model_name", "keys_of", "model_specs"]

URLS = {
    Source.OPENAI: "https://api.openai.com/v1",
    Source.ANTHROPIC: "https://api.anthropic.com",
    Source.OLLAMA: "http://127.0.0.1:11434",
}
"""Where a remote provider is, unless its `url` says otherwise."""
MODEL_SAMPLES = {
    "triage-tiny": {"file": "models/triage-tiny-q8_0.gguf"},
    "cloud": {"provider": "openai", "model": "gpt-5-mini", "key": "OPENAI_API_KEY"},
}
"""For the example: a local and a remote one."""
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_OF_LOCAL = ("file", "sha256", "context", "batch", "threads", "gpu_layers", "chat_format", "keep_alive", "max_ram")
_OF_REMOTE = ("url", "model", "key", "concurrency")


class Model(Section, frozen=True, kw_only=True):
    """A language model, by the name that workflows call it: up to 64 lower-case letters, digits, dots, hyphens and
    underscores; one with dots stands in quotes. Models that `ganglion models add` has brought need no section."""

    provider: Annotated[
        Source,
        Meta(description="local: llama.cpp in this process, from a GGUF file; openai: any server with OpenAI's chat "
             "completions; anthropic; ollama."),
    ] = Source.LOCAL  # fmt: skip
    file: Annotated[str, Meta(description="Local: the GGUF file.")] = ""
    sha256: Annotated[
        str, Meta(description="Local: the file's checksum, read once and whenever the file changes. Empty: any.")
    ] = ""
    context: Annotated[
        int,
        Meta(ge=0, le=10_000_000, description="Local and ollama: tokens of a conversation, prompt and answer "
             "together. 0: what the model was made for, 4096 at most; ollama: what its server thinks."),
    ] = 0  # fmt: skip
    batch: Annotated[
        int,
        Meta(ge=1, le=65_536, description="Local: tokens of a prompt that are read at once; a cancel waits for so "
             "many."),
    ] = 256  # fmt: skip
    threads: Annotated[
        int,
        Meta(ge=0, le=1024, description="Local: threads that compute. 0: one per processor, and one alone for a model "
             "of less than 64 MiB."),
    ] = 0  # fmt: skip
    gpu_layers: Annotated[
        int, Meta(ge=-1, le=10_000, description="Local: layers that are given to a graphics card. -1: all.")
    ] = 0
    chat_format: Annotated[
        str,
        Meta(description="Local: how a conversation is written for the model, a name that llama.cpp knows, such as "
             "chatml. Empty: as its file says."),
    ] = ""  # fmt: skip
    keep_alive: Annotated[
        KeepAlive,
        Meta(description='Local: how long it stays in memory without a question. "0s": not at all; "forever": until '
             "memory is short."),
    ] = 300.0  # fmt: skip
    max_ram: Annotated[Size, Meta(description="Local: the most memory that it may need. 0B: what is free.")] = 0
    url: Annotated[
        str,
        Meta(description="Remote: where the provider is. Empty: https://api.openai.com/v1, https://api.anthropic.com, "
             "or http://127.0.0.1:11434 for ollama."),
    ] = ""  # fmt: skip
    model: Annotated[str, Meta(description="Remote: what the provider calls it. Empty: as here.")] = ""
    key: Annotated[str, Meta(description="Remote: the name of the secret that holds the API key. Empty: none.")] = ""
    concurrency: Annotated[int, Meta(ge=1, le=1000, description="Remote: questions at the same time.")] = 4
    queue: Annotated[int, Meta(ge=0, le=100_000, description="Nodes that may wait for their turn.")] = 256
    stall: Annotated[
        Duration, Meta(description="A generation that shows no sign of life for so long is given up. 0s: never.")
    ] = 60.0

    def check(self) -> None:
        """Raises ValueError with the key and the remedy."""
        is_local = self.provider is Source.LOCAL
        if is_local and not self.file:
            raise ValueError('file: is needed: the path of a GGUF file, or provider = "openai" for a remote model')
        defaults = {field.name: field.default for field in msgspec.structs.fields(Model)}
        for key in (key for key in (*_OF_LOCAL, *_OF_REMOTE) if key not in keys_of(self.provider)):
            if getattr(self, key) != defaults[key]:
                fit = "a remote model" if is_local else "a local model"
                raise ValueError(f'{key}: is for {fit}, and this one has provider = "{self.provider}"')
        if self.sha256 and not _SHA256.fullmatch(self.sha256):
            raise ValueError("sha256: expected 64 hex digits, as `sha256sum FILE` prints them")
        if self.url:
            _check_url(self.url)
        if self.key and not SECRET_NAME.fullmatch(self.key):  # not repeated: it may be the key itself
            raise ValueError(
                "key: expected the name of a secret, letters, digits and _; the key itself is given as "
                "GANGLION_SECRET_<name>, or lies in <data_dir>/secrets/<name>"
            )

    def spec(self, name: str) -> ModelSpec:
        """The same for the service of models."""
        values = {key: getattr(self, key) for key in self.__struct_fields__}
        url = (self.url or URLS.get(self.provider, "")).rstrip("/")
        return ModelSpec(**{**values, "name": name, "sha256": self.sha256.lower(), "url": url})


def _check_url(url: str) -> None:
    """Raises ValueError, which does not repeat it: a password may stand in it."""
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("url: expected http:// or https:// and a host")
    if "@" in parts.netloc:
        raise ValueError("url: must hold no user or password, for it is shown: name a secret in `key`")


def keys_of(provider: Source) -> tuple[str, ...]:
    """The settings that say something about a model of this kind."""
    own = _OF_LOCAL if provider is Source.LOCAL else _OF_REMOTE
    return (*own, *(("context",) if provider is Source.OLLAMA else ()), "queue", "stall")


def check_model_name(name: str) -> None:
    """Raises ValueError."""
    if not NAME.fullmatch(name):
        raise ValueError(
            "a model's name has up to 64 lower-case letters, digits, dots, hyphens and underscores, the first of them "
            "a letter or digit"
        )


def model_specs(models: dict[str, Model]) -> tuple[ModelSpec, ...]:
    """All of the configuration."""
    return tuple(model.spec(name) for name, model in models.items())

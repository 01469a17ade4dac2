"""Which remote provider a model has."""

import re
from collections.abc import Callable
from urllib.parse import urlsplit

from engine.clock import Clock, SystemClock
from engine.secrets import UnknownSecret
from plugins.llm.errors import ModelError, Trouble
from plugins.llm.provider import Provider
from plugins.llm.remote.anthropic import Anthropic
from plugins.llm.remote.dialect import Dialect
from plugins.llm.remote.model import RemoteModel
from plugins.llm.remote.ollama import Ollama
from plugins.llm.remote.openai import OpenAi
from plugins.llm.spec import ModelSpec, Source

__all__ = ["remote"]

_KEY = re.compile(r"[\x21-\x7e]+")


def remote(spec: ModelSpec, secret: Callable[[str], str | None], *, clock: Clock | None = None) -> Provider:
    """The provider of a remote model; nothing is sent yet. Raises ModelError (missing: its key)."""
    dialect = _dialect(spec)
    return RemoteModel(spec, _key(spec, secret, dialect), dialect, clock or SystemClock())


def _dialect(spec: ModelSpec) -> Dialect:
    match spec.provider:
        case Source.OPENAI:
            return OpenAi()
        case Source.ANTHROPIC:
            return Anthropic()
        case Source.OLLAMA:
            return Ollama(spec.context)
        case Source.LOCAL:
            raise ValueError(f"the model {spec.name} is a local one")


def _key(spec: ModelSpec, secret: Callable[[str], str | None], dialect: Dialect) -> str:
    """Empty for a server of somebody's own that wants none."""
    if not spec.key:
        is_own = spec.url and urlsplit(spec.url).hostname != urlsplit(dialect.default_url).hostname
        if is_own or spec.provider is Source.OLLAMA:
            return ""
        raise ModelError(
            Trouble.MISSING,
            f"model {spec.name}: it needs a key: put it into a secret, and the secret's name as `key` into "
            f"[models.{spec.name}]",
        )
    key = (secret(spec.key) or "").strip()
    if not key:
        raise ModelError(Trouble.MISSING, f"model {spec.name}: {UnknownSecret(spec.key).args[0]}")
    if not _KEY.fullmatch(key):
        raise ModelError(
            Trouble.MISSING, f"model {spec.name}: the secret {spec.key} holds a space, a line break or something else "
            f"that no key has: put only the key there",
        )  # fmt: skip
    return key

"""Why a model gave nothing. Expected faults of the outside world; the node makes an outcome of them."""

from enum import StrEnum

__all__ = ["ModelError", "Trouble"]


class Trouble(StrEnum):
    """The `kind` of the node's error."""

    UNKNOWN = "unknown_model"
    """No model of that name."""
    MISSING = "model_missing"
    """Its file, its library or its key is not there."""
    DAMAGED = "model_damaged"
    """Its file is cut off, is no GGUF, or has another checksum."""
    MEMORY = "model_memory"
    """It does not fit into what is free."""
    QUARANTINED = "model_quarantined"
    """Its native code killed the process twice."""
    BUSY = "model_busy"
    """Its queue is full."""
    TOO_LONG = "prompt_too_long"
    EMPTY = "empty_output"
    INVALID = "invalid_output"
    """What it said does not fit the schema, is no JSON, or is no UTF-8."""
    UNREACHABLE = "unreachable"
    RATE_LIMITED = "rate_limited"
    REFUSED = "model_refused"
    """The provider says no: the key, the request, the model's name."""
    FAILED = "model_failed"
    """The provider, or the native library, failed."""
    STALLED = "stalled"
    """No sign of life for too long."""
    STOPPED = "cancelled"
    """The asker wanted no more."""


_PASSING = frozenset(
    {Trouble.MEMORY, Trouble.BUSY, Trouble.EMPTY, Trouble.INVALID, Trouble.UNREACHABLE, Trouble.RATE_LIMITED,
     Trouble.FAILED, Trouble.STALLED}
)  # fmt: skip
_OWN = frozenset({Trouble.STOPPED})
_FREE = frozenset(
    {Trouble.UNKNOWN, Trouble.MISSING, Trouble.DAMAGED, Trouble.MEMORY, Trouble.QUARANTINED, Trouble.BUSY,
     Trouble.TOO_LONG, Trouble.UNREACHABLE, Trouble.RATE_LIMITED, Trouble.REFUSED}
)  # fmt: skip


class ModelError(Exception):
    """The message says what happened and what to do next, and holds no secret."""

    def __init__(self, trouble: Trouble, message: str, *, after: float = 0.0) -> None:
        super().__init__(message)
        self.trouble = trouble
        self.after = after
        """Seconds before which another try is no use, as the provider says."""
        self.used: int | None = 0 if trouble in _FREE else None
        """Tokens that were read and written; None: nobody knows how many."""

    @property
    def passing(self) -> bool:
        """The same model may do it at another try."""
        return self.trouble in _PASSING

    @property
    def elsewhere(self) -> bool:
        """Another model may do it."""
        return self.trouble not in _OWN

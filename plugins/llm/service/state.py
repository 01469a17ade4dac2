"""How a model is, for people."""

import msgspec

__all__ = ["ModelState"]


class ModelState(msgspec.Struct, frozen=True, kw_only=True):
    """How a model is now; what `ganglion models` and presence show."""

    name: str
    provider: str
    state: str
    """resident, loading, idle (not loaded), quarantined, stuck (its native code hangs), damaged (its manifest),
    remote."""
    memory_bytes: int = 0
    """Of a resident one."""
    waiting: int = 0
    """Askers in its queue."""
    running: int = 0
    generations: int = 0
    """Since the start."""
    output_tokens: int = 0
    problem: str = ""
    """Why it can't be used, and what to do."""

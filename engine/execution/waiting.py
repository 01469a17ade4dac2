"""Which running attempts wait for their turn with something that many share, and for what. In memory alone: after a
restart they wait anew."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

__all__ = ["Waits"]


class Waits:
    """What attempts of this process wait for."""

    def __init__(self) -> None:
        self._reasons: dict[str, dict[str, list[tuple[str]]]] = {}
        """By execution and path, the newest last; each in a tuple of its own, so that two of one text differ."""

    @contextmanager
    def waiting(self, execution: str, path: str, reason: str) -> Iterator[None]:
        """Within the block the attempt waits. Blocks of one attempt may end in any order; the newest counts."""
        entry = (reason,)
        self._reasons.setdefault(execution, {}).setdefault(path, []).append(entry)
        try:
            yield
        finally:
            paths = self._reasons[execution]
            paths[path] = [one for one in paths[path] if one is not entry]
            if not paths[path]:
                del paths[path]
            if not paths:
                del self._reasons[execution]

    def of(self, execution: str) -> Mapping[str, str]:
        """Reasons by path, in the order in which the attempts began to wait."""
        return {path: entries[-1][0] for path, entries in self._reasons.get(execution, {}).items()}

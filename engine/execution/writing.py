"""A text that an attempt writes, told live in pieces: no more often than somebody can read, and no secret in it."""

from collections.abc import Callable, Mapping

from engine.clock import Clock

INTERVAL_SECONDS = 0.05
"""What comes closer together is told as one piece."""
MAX_PIECE = 8 * 1024
"""Characters of one piece."""


class Writing:
    """The text of one attempt. What is not told yet is told with what comes next, or at the end.

    Secrets may come cut in two, so the end of the text is held back while it could be the beginning of one.
    """

    __slots__ = ("_clock", "_last", "_masks", "_tell", "_text")

    def __init__(self, clock: Clock, masks: Callable[[], Mapping[str, str]], tell: Callable[[str], None]) -> None:
        """`masks` gives the secrets that the attempt has seen so far, the longest first."""
        self._clock = clock
        self._masks = masks
        self._tell = tell
        self._text = ""
        self._last: float | None = None

    def add(self, text: str) -> None:
        """More of it; an empty one voids what came before."""
        if not text:
            self._text = ""
            self._tell("")
            return
        self._text += text
        now = self._clock.monotonic()
        due = self._last is None or now - self._last >= INTERVAL_SECONDS or len(self._text) >= MAX_PIECE
        if due and self._told(_safe(self._text, self._masks())):
            self._last = now

    def end(self) -> None:
        """Nothing comes any more."""
        self._told(len(self._text))

    def _told(self, length: int) -> bool:
        """Tell the beginning of what is waiting."""
        text, self._text = self._text[:length], self._text[length:]
        for value, mask in self._masks().items():
            text = text.replace(value, mask)
        for start in range(0, len(text), MAX_PIECE):
            self._tell(text[start : start + MAX_PIECE])
        return bool(text)


def _safe(text: str, secrets: Mapping[str, str]) -> int:
    """How much of a text may be told: neither a secret that it holds, nor one that may follow, is cut in two."""
    end = len(text)
    for secret in secrets:
        for length in range(min(len(secret) - 1, len(text)), 0, -1):
            if text.endswith(secret[:length]):
                end = min(end, len(text) - length)
                break
    moved = True
    while moved:
        moved = False
        for secret in secrets:
            # The first that begins before the end and ends behind it.
            found = text.find(secret, max(0, end - len(secret) + 1), end + len(secret) - 1)
            if 0 <= found < end < found + len(secret):
                end, moved = found, True
    return end

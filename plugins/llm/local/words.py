"""Tokens' bytes to text that may be told: whole characters, and nothing that may be the beginning of a stop string."""

import codecs
from collections.abc import Sequence

__all__ = ["Words"]


class Words:
    """The text of one generation as it grows."""

    def __init__(self, stop: Sequence[str] = ()) -> None:
        self._partial = b""
        """The beginning of a character."""
        self._stop = tuple(text for text in stop if text)
        self._told: list[str] = []
        self._held = ""
        self.stopped = False
        """A stop string was written; the text ends before it."""

    def takes(self, piece: bytes) -> bool:
        """Whether the text stays UTF-8 with it."""
        if piece.isascii():
            return not (self._partial and piece)
        try:
            codecs.utf_8_decode(self._partial + piece, "strict", False)
        except UnicodeDecodeError:
            return False
        return True

    def add(self, piece: bytes) -> str:
        """What may be told now; the piece is one that it `takes`."""
        if self.stopped:
            return ""
        data = self._partial + piece
        text, used = codecs.utf_8_decode(data, "strict", False)
        self._partial = data[used:]
        if not self._stop:
            self._told.append(text)
            return text
        return self._pass_on(self._held + text)

    def _pass_on(self, text: str) -> str:
        found = [at for at in (text.find(stop) for stop in self._stop) if at >= 0]
        if found:
            self.stopped = True
            told, self._held = text[: min(found)], ""
        else:
            keep = max(_begun(text, stop) for stop in self._stop)
            told, self._held = text[: len(text) - keep], text[len(text) - keep :]
        self._told.append(told)
        return told

    def end(self) -> str:
        """The rest, when no more comes; bytes of a character that is not whole are dropped."""
        rest, self._held = self._held, ""
        self._told.append(rest)
        return rest

    @property
    def text(self) -> str:
        """Everything that was told."""
        return "".join(self._told)


def _begun(text: str, stop: str) -> int:
    """Characters at the end of the text that the stop string begins with."""
    for length in range(min(len(stop) - 1, len(text)), 0, -1):
        if text.endswith(stop[:length]):
            return length
    return 0

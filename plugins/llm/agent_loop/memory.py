"""How much of what was said the model is told again."""

from engine.values import Json
from plugins.llm.agent_loop.params import Memory as Rule
from plugins.llm.agent_loop.transcript import Transcript, Turn, written

__all__ = ["Memory"]


class Memory:
    """The last turns as they are, whole: a call is never parted from its result. What is older is left out, or becomes
    a note."""

    def __init__(self, rule: Rule, *, summarises: bool) -> None:
        """`summarises`: there is somebody who writes notes."""
        self._window = rule.window
        self._summarises = rule.summarise and summarises
        self.note = ""
        self.notes = 0
        """How often one was written."""
        self._noted = 0
        """Turns that are in the note."""

    def messages(self, transcript: Transcript) -> list[Json]:
        """What the model is told at its next turn."""
        return transcript.messages(self._recent(transcript.turns), self.note)

    def to_note(self, transcript: Transcript) -> dict[str, Json] | None:
        """What a note is to be made of: {note, turns}; None if nothing has left the window. Half of the window goes at
        once, so that not every turn costs a note."""
        count = self._leaving(transcript.turns)
        if not count:
            return None
        return {"note": self.note, "turns": written(transcript.turns[self._noted : self._noted + count])}

    def noted(self, transcript: Transcript, note: str) -> None:
        """The note was written."""
        self._noted += self._leaving(transcript.turns)
        self.note = note
        self.notes += 1

    def _recent(self, turns: list[Turn]) -> list[Turn]:
        if self._window is None:
            return turns
        return turns[self._noted :] if self._summarises else turns[-self._window :]

    def _leaving(self, turns: list[Turn]) -> int:
        if not self._summarises or self._window is None or len(turns) - self._noted <= self._window:
            return 0
        return len(turns) - self._noted - self._window // 2 if self._window > 1 else len(turns) - self._noted - 1

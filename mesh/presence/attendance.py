"""What a watcher makes of beats and of their absence: pure, with the times handed in as monotonic seconds.

None -> up | draining | stopped      heard for the first time
up | draining -> lost                three beats of silence, counted from the newest link at the earliest
None -> lost                         the same for one that was only ever read of
lost -> up | draining | stopped      heard again
"""

from collections.abc import Iterable

import msgspec

from mesh.presence.beat import MISSED_BEATS, Beat, State
from mesh.presence.bucket import Listing
from mesh.presence.members import Member, Standing, standing


class Change(msgspec.Struct, frozen=True):
    """An agent is otherwise than before: it came or went, or has other labels."""

    beat: Beat
    """Its newest."""
    was: Standing | None
    """None: it was not known."""
    now: Standing
    silent_seconds: float
    """Since that beat."""


class _Known:
    """One agent."""

    __slots__ = ("at", "beat", "labels", "seq", "told")

    def __init__(self, beat: Beat, seq: int, at: float) -> None:
        self.beat = beat
        self.seq = seq
        self.at = at
        """When it spoke."""
        self.told: Standing | None = None
        """What the watcher's listeners know of it."""
        self.labels = beat.labels
        """The same."""


class Attendance:
    """All agents that were ever heard or read of."""

    def __init__(self) -> None:
        self._known: dict[str, _Known] = {}
        self._linked_at: float | None = None
        self._unlinked_at = 0.0
        self._earliest = 0.0
        """Before this nobody can have been silent for too long."""

    def linked(self, now: float) -> None:
        """From now on silence counts."""
        self._linked_at = now
        self._earliest = now

    def unlinked(self, now: float) -> None:
        """From now on nobody can be heard."""
        if self._linked_at is not None:
            self._linked_at, self._unlinked_at = None, now

    def sequences(self) -> dict[str, int]:
        """Agent -> sequence of its newest beat, to be handed to `listed` with what was read after."""
        return {agent: known.seq for agent, known in self._known.items()}

    def heard(self, beat: Beat, seq: int, now: float) -> list[Change]:
        """An agent spoke just now."""
        known = self._known.get(beat.agent)
        if known is None:
            known = self._known[beat.agent] = _Known(beat, seq, now)
        elif seq == known.seq:
            return []  # a smaller one is the next of a bucket that was made anew
        else:
            known.beat, known.seq, known.at = beat, seq, now
        self._earliest = min(self._earliest, now + _patience(beat))
        return self._tell(known, Standing(beat.state.value), now)

    def listed(self, found: Listing, before: dict[str, int], now: float) -> list[Change]:
        """The whole list. `before`: what was known when it was asked for; what came since is newer than the list."""
        changes: list[Change] = []
        names = {entry.beat.agent for entry in found.entries}
        for agent in [agent for agent, seq in before.items() if agent not in names and self._known[agent].seq == seq]:
            del self._known[agent]  # somebody removed its key
        for entry in found.entries:
            beat, age = entry.beat, max(0.0, found.now - entry.time)
            known = self._known.get(beat.agent)
            if known is None:
                known = self._known[beat.agent] = _Known(beat, entry.seq, now - age)
                if standing(beat, age) is not Standing.LOST:
                    changes += self._tell(known, Standing(beat.state.value), now)
            elif known.seq == before.get(beat.agent) and entry.seq != known.seq:
                # Missed on the way, or the server came back with an older copy of its store.
                newer = entry.seq > known.seq
                known.beat, known.seq = beat, entry.seq
                known.at = now - age
                if newer and standing(beat, age) is not Standing.LOST:
                    changes += self._tell(known, Standing(beat.state.value), now)
        self._earliest = now
        return changes

    def silence(self, now: float) -> list[Change]:
        """Who has been silent for too long; call it about every second."""
        if self._linked_at is None or now < self._earliest:
            return []
        changes: list[Change] = []
        soonest = float("inf")
        for known in self._known.values():
            if known.told is Standing.LOST:
                continue
            if known.beat.state is State.STOPPED:
                changes += self._tell(known, Standing.STOPPED, now)
                continue
            due = max(known.at, self._linked_at) + _patience(known.beat)
            if now > due:
                changes += self._tell(known, Standing.LOST, now)
            else:
                soonest = min(soonest, due)
        self._earliest = soonest
        return changes

    def members(self, now: float) -> list[Member]:
        """Everybody in the order of their ids, by what was said: who is silent counts as lost at once."""
        at = now if self._linked_at is not None else self._unlinked_at
        return [
            Member(known.beat, age := max(0.0, at - known.at), standing(known.beat, age))
            for _, known in sorted(self._known.items())
        ]

    def beats(self) -> Iterable[Beat]:
        """The newest of everybody."""
        return [known.beat for known in self._known.values()]

    def _tell(self, known: _Known, now_is: Standing, now: float) -> list[Change]:
        if known.told is now_is and known.labels == known.beat.labels:
            return []
        change = Change(known.beat, known.told, now_is, max(0.0, now - known.at))
        known.told, known.labels = now_is, known.beat.labels
        return [change]


def _patience(beat: Beat) -> float:
    return MISSED_BEATS * beat.every

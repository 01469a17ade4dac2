"""What agents say of themselves beside what is recorded of them: who is behind, and whose clock is wrong."""

from collections.abc import Sequence

import msgspec

from engine.clock import Clock, parse_time
from engine.fleet.event import Gap, Track
from mesh.presence.beat import Beat
from mesh.presence.members import Member, Standing

LATE_SECONDS = 30.0
"""After so long facts that an agent says it has should be here."""
AGAIN_SECONDS = 60.0
"""How long after they were asked for they are asked for again."""
PRESENT = (Standing.UP, Standing.DRAINING)


class _Late(msgspec.Struct):
    """Facts up to `seq` were said to be there at `since`, and are not all recorded."""

    epoch: str
    seq: int
    since: int
    due: int
    recorded: int


class _Said(msgspec.Struct):
    time: str
    skew: float | None


class Watch:
    """Compares; `look` is called now and then."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._late: dict[str, _Late] = {}
        self._said: dict[str, _Said] = {}

    def look(self, members: Sequence[Member], tracks: Sequence[Track]) -> None:
        """Who is there, and how far their facts are recorded."""
        recorded = {(track.agent, track.epoch): track.last_seq for track in tracks}
        now = self._clock.now()
        late: dict[str, _Late] = {}
        said: dict[str, _Said] = {}
        for member in members:
            beat = member.beat
            said[beat.agent] = self._skew(beat, member.age_seconds, now)
            newest = recorded.get((beat.agent, beat.epoch))
            if newest is None or newest >= beat.last_seq or member.state not in PRESENT:
                continue
            known = self._late.get(beat.agent)
            if known is None or known.epoch != beat.epoch or newest >= known.seq:
                known = _Late(beat.epoch, beat.last_seq, now, now + round(LATE_SECONDS * 1_000_000), newest)
            known.recorded = newest
            late[beat.agent] = known
        self._late, self._said = late, said

    def late_seconds(self, agent: str) -> float:
        """For how long facts have been missing that this agent says it has; 0 while none are."""
        late = self._late.get(agent)
        return max(0.0, (self._clock.now() - late.since) / 1_000_000) if late else 0.0

    def skew_seconds(self, agent: str) -> float | None:
        """By how much its clock is ahead of ours; None until it has spoken twice."""
        said = self._said.get(agent)
        return said.skew if said else None

    def tails(self) -> list[Gap]:
        """Facts behind the newest recorded one that should be here by now: told once, and again after a while."""
        now = self._clock.now()
        found = []
        for agent, late in self._late.items():
            if late.due <= now:
                late.due = now + round(AGAIN_SECONDS * 1_000_000)
                found.append(
                    Gap(agent=agent, epoch=late.epoch, first=late.recorded + 1, last=late.seq, since=late.since)
                )
        return found

    def _skew(self, beat: Beat, age_seconds: float, now: int) -> _Said:
        """By a beat that came since the last look: how old one is that was there before nobody knows."""
        known = self._said.get(beat.agent)
        if known is None or known.time == beat.time:
            return known or _Said(beat.time, None)
        try:
            skew = (parse_time(beat.time) - now) / 1_000_000 + age_seconds
        except (ValueError, OverflowError):
            return _Said(beat.time, None)
        return _Said(beat.time, skew)

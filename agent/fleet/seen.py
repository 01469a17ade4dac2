"""An agent as it says itself, in the words of the recorder's answers."""

from typing import TYPE_CHECKING

from engine.clock import format_time
from engine.control.fleet_messages import FleetAgentInfo

if TYPE_CHECKING:
    from mesh.presence.members import Member


def of_presence(member: "Member", now: int) -> FleetAgentInfo:
    """What presence alone knows. `now` is the reader's time, in microseconds."""
    beat = member.beat
    return FleetAgentInfo(
        agent=beat.agent,
        state=member.state.value,
        seen_at=format_time(now - round(member.age_seconds * 1_000_000)),
        version=beat.version,
        labels=beat.labels,
        arch=beat.arch,
        host=beat.host,
        started=beat.started,
        load=beat.load,
        memory_bytes=beat.memory_bytes,
        slots=beat.slots,
        free_slots=beat.free_slots,
        running=beat.running,
        queued=beat.queued,
        outbox_depth=beat.outbox_depth,
        workflows=beat.workflows,
        models=beat.models,
        records=beat.record,
        epoch=beat.epoch,
        last_seq=beat.last_seq,
    )

"""From bytes of the bucket to a beat: anybody who may write there may have written anything."""

import math
import re

import msgspec

from engine.values import InvalidValue, decode_json
from mesh.presence.beat import Beat

MAX_BYTES = 64 * 1024
"""Of a value: twice what an agent with 500 workflows says."""
MAX_LABELS, MAX_WORKFLOWS, MAX_MODELS, MAX_TEXT = 64, 500, 100, 256
SHORTEST, LONGEST = 0.1, 86_400.0
"""Seconds between two beats that are believed."""
_AGENT = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


def read_beat(key: str, value: bytes) -> Beat | None:
    """The beat under the key `<tenant>.<agent>`; None for what is no beat, is out of bounds, or names another agent."""
    tenant, _, agent = key.partition(".")
    if len(value) > MAX_BYTES or not _AGENT.fullmatch(agent) or not _AGENT.fullmatch(tenant):
        return None
    try:
        beat = msgspec.convert(decode_json(value, max_bytes=MAX_BYTES), Beat)
    except (InvalidValue, msgspec.ValidationError):
        return None
    return beat if (beat.tenant, beat.agent) == (tenant, agent) and _is_bounded(beat) else None


def _is_bounded(beat: Beat) -> bool:
    texts = (beat.version, beat.instance, beat.epoch, beat.started, beat.time, beat.arch, beat.host)
    shares = (beat.load, beat.memory_used)
    counts = (
        beat.last_seq, beat.cpus, beat.memory_bytes, beat.slots, beat.free_slots, beat.running, beat.queued,
        beat.outbox_depth,
    )  # fmt: skip
    return (
        SHORTEST <= beat.every <= LONGEST
        and all(len(text) <= MAX_TEXT for text in texts)
        and all(math.isfinite(share) and share >= 0 for share in shares)
        and all(count >= 0 for count in counts)
        and len(beat.labels) <= MAX_LABELS
        and all(len(name) <= MAX_TEXT and len(text) <= MAX_TEXT for name, text in beat.labels.items())
        and len(beat.workflows) <= MAX_WORKFLOWS
        and all(len(name) <= MAX_TEXT for name in beat.workflows)
        and len(beat.models) <= MAX_MODELS
        and all(len(name) <= MAX_TEXT for name in beat.models)
    )

"""Who belongs to a fleet, in one look: what commands show, and what `--fleet` chooses from."""

from enum import StrEnum

import msgspec

from mesh.connection import Link
from mesh.nats_client import AnySubjectClient
from mesh.presence.beat import MISSED_BEATS, Beat, State
from mesh.presence.bucket import Listing, listing


class Standing(StrEnum):
    """How an agent is, as others see it."""

    UP = "up"
    DRAINING = "draining"
    STOPPED = "stopped"
    LOST = "lost"
    """It said that it was there, and then no more."""


class Member(msgspec.Struct, frozen=True):
    """An agent that is or was there."""

    beat: Beat
    age_seconds: float
    """Since its last word."""
    state: Standing


def standing(beat: Beat, silent_seconds: float) -> Standing:
    """How an agent is that has said nothing more for so long."""
    if beat.state is not State.STOPPED and silent_seconds > MISSED_BEATS * beat.every:
        return Standing.LOST
    return Standing(beat.state.value)


def members_of(found: Listing) -> list[Member]:
    """Agents in the order of their ids."""
    entries = sorted(found.entries, key=lambda entry: entry.beat.agent)
    ages = [max(0.0, found.now - entry.time) for entry in entries]
    return [Member(entry.beat, age, standing(entry.beat, age)) for entry, age in zip(entries, ages, strict=True)]


async def members(link: Link | AnySubjectClient, tenant: str) -> list[Member]:
    """All agents of a tenant that ever spoke at this server. Age and state are by the server's clock, so that nobody's
    own must be right. Raises one of LOST where the server does not answer."""
    nc = link.nc if isinstance(link, Link) else link
    return members_of(await listing(nc, tenant))

"""How long a recorder keeps what, and how its file stays within that."""

import msgspec


class FleetRetention(msgspec.Struct, frozen=True, kw_only=True):
    """How long events are kept: whichever limit is reached first. Windows of an hour stay ten times as long."""

    age: float | None = 30 * 86_400.0
    count: int | None = 5_000_000
    bytes: int | None = 4 * 2**30

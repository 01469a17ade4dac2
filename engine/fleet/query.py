"""What can be asked of a recorder, and what the answers look like. Times are microseconds since 1970."""

from enum import StrEnum

import msgspec

from engine.fleet.event import FleetEvent


class Grain(StrEnum):
    """Length of a window."""

    MINUTE = "minute"
    HOUR = "hour"


class EventQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Filters are joined by `and`; an empty one matches everything. Patterns of kinds end in `.*`: `workflow.*`."""

    agents: tuple[str, ...] = ()
    workflows: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    executions: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    """`status` in the data of a fact that ends an execution: completed, partial, failed, cancelled."""
    labels: tuple[tuple[str, str], ...] = ()
    """(name, value): labels that the agent had when it was last heard of."""
    since: int | None = None
    until: int | None = None
    """By the time at which it happened; `until` is excluded."""
    after: int | None = None
    """Number of the last event that was seen: those recorded later, oldest first. Without it the newest."""
    before: int | None = None
    """Number of the oldest event that was seen: go on towards older ones."""
    limit: int = 100


class Numbered(msgspec.Struct, frozen=True):
    """A recorded event. `number` grows in the order of recording."""

    number: int
    event: FleetEvent


class StatsQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Windows that begin in [since, until); several workflows and agents are merged unless they are told apart."""

    grain: Grain = Grain.HOUR
    since: int
    until: int
    agents: tuple[str, ...] = ()
    workflows: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    by_agent: bool = True
    by_workflow: bool = True
    by_window: bool = True
    """False merges all windows into one row, which begins at the first of them."""
    by_label: str = ""
    """Name of a label by whose value rows are told apart."""


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of one window. Durations in seconds, of executions that ended; None where none did. Quantiles are within
    2 % of the true value."""

    start: int
    agent: str = ""
    workflow: str = ""
    label: str = ""
    started: int = 0
    completed: int = 0
    partial: int = 0
    failed: int = 0
    cancelled: int = 0
    node_failures: int = 0
    retries: int = 0
    events: int = 0
    failure_rate: float | None = None
    """failed / (completed + partial + failed)."""
    mean: float | None = None
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None
    longest: float | None = None

"""What a recorder of the fleet is asked, and what it answers.

Times in a request are RFC 3339 (`2026-11-21T10:15:00Z`), or a duration before now (`2h`, `7d`); empty is no bound.
Labels are joined by `and`: an agent matches that has all of them.
"""

import msgspec

from engine.control.messages import Answer, Request

MAX_EVENTS, MAX_WINDOWS, MAX_AGENTS, MAX_GAPS = 1000, 5000, 500, 1000
"""Most in one answer, whatever `limit` says. An answer is also bounded in bytes, and may hold fewer for that."""
MAX_WAIT_SECONDS = 10.0


class FleetEvents(Request, frozen=True, kw_only=True):
    """Recorded facts, oldest first: the newest `limit` ones that match; with `before` the newest older than that
    number; with `after` the oldest that were recorded later. Empty filters match everything."""

    agents: list[str] = msgspec.field(default_factory=list)
    workflows: list[str] = msgspec.field(default_factory=list)
    kinds: list[str] = msgspec.field(default_factory=list)
    """Such as workflow.failed, or node.* for all that begin so."""
    executions: list[str] = msgspec.field(default_factory=list)
    statuses: list[str] = msgspec.field(default_factory=list)
    """completed, partial, failed, cancelled: how an execution ended; only facts that end one match."""
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    since: str = ""
    """By the time at which it happened."""
    until: str = ""
    """Excluded."""
    after: int | None = None
    """`next` of the answer before, to follow without missing any; 0 begins with the first. A late fact of long ago is
    recorded when it comes, and so is seen too."""
    before: int | None = None
    """Number of the oldest event that was seen: page on towards older ones."""
    limit: int = 100
    wait: float = 0.0
    """With `after`: seconds that the answer may wait for the first event to come, at most MAX_WAIT_SECONDS."""
    count: bool = False
    """Also tell how many match in all, which may take longer."""


class FleetEventInfo(Answer, frozen=True, kw_only=True):
    number: int
    """Grows in the order of recording."""
    event: msgspec.Raw
    """A CloudEvent, as on the wire."""


class FleetEventList(Answer, frozen=True, kw_only=True):
    events: list[FleetEventInfo]
    next: int
    """`after` of the request that goes on from here, also where nothing matched."""
    more: bool
    """There is more of this already: ask again at once (with `after`: later ones; else: older ones)."""
    total: int | None = None
    """How many match in all, if that was asked."""


class FleetStats(Request, frozen=True, kw_only=True):
    """Figures of the windows that begin in [since, until). Executions count in the window in which they ended."""

    grain: str = "hour"
    """minute or hour."""
    since: str = "24h"
    until: str = ""
    """Now, if empty."""
    agents: list[str] = msgspec.field(default_factory=list)
    workflows: list[str] = msgspec.field(default_factory=list)
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    by_agent: bool = True
    """Tell agents apart; else they are put together."""
    by_workflow: bool = True
    by_window: bool = True
    """False puts all windows together into one."""
    by_label: str = ""
    """Name of a label by whose value rows are told apart."""
    skip: int = 0
    """Windows that were seen already: page on."""
    limit: int = MAX_WINDOWS


class FleetWindow(Answer, frozen=True, kw_only=True):
    """Figures of one window. Durations are seconds, of executions that ended; quantiles are within 2 %."""

    start: str
    agent: str = ""
    workflow: str = ""
    label: str = ""
    """The value of `by_label`; empty also for agents without it."""
    started: int = 0
    completed: int = 0
    partial: int = 0
    failed: int = 0
    cancelled: int = 0
    node_failures: int = 0
    retries: int = 0
    events: int = 0
    failure_rate: float | None = None
    """failed / (completed + partial + failed); none where nothing ended."""
    mean: float | None = None
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None
    longest: float | None = None


class FleetWindows(Answer, frozen=True, kw_only=True):
    windows: list[FleetWindow]
    """Oldest first."""
    more: bool
    """There are windows behind these: ask again with `skip`."""


class FleetAgents(Request, frozen=True, kw_only=True):
    """Who is in the fleet, in the order of their ids: all that are or were seen, or whose facts are recorded."""

    agents: list[str] = msgspec.field(default_factory=list)
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    states: list[str] = msgspec.field(default_factory=list)
    """up, draining, stopped, lost, unknown."""
    after: str = ""
    """Id of the last agent that was seen: page on."""
    limit: int = MAX_AGENTS


class FleetAgentInfo(Answer, frozen=True, kw_only=True):
    """An agent, as it said itself, and how far its facts are recorded."""

    agent: str
    state: str
    """up, draining, stopped, lost (it has missed three beats), or unknown: its facts are here, but it was never
    seen."""
    seen_at: str = ""
    """When it was last heard, by the recorder's clock; empty if never."""
    version: str = ""
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    """The last ones that it told."""
    arch: str = ""
    host: str = ""
    started: str = ""
    load: float = 0.0
    """Share of the processors in use, 0 to 1."""
    memory_bytes: int = 0
    slots: int = 0
    free_slots: int = 0
    running: int = 0
    queued: int = 0
    outbox_depth: int = 0
    """Facts that some stream has not acknowledged yet."""
    workflows: dict[str, int] = msgspec.field(default_factory=dict)
    """Deployed workflow -> version."""
    models: list[str] = msgspec.field(default_factory=list)
    """Language models that are in its memory."""
    records: bool = False
    """It is a recorder too."""
    clock_skew: float | None = None
    """Seconds by which its clock is ahead of the recorder's; unknown for one that is not there."""
    cloned: bool = False
    """Two processes speak as this agent."""
    epoch: str = ""
    """Of its store; facts are numbered within one."""
    last_seq: int = 0
    """The newest fact that it says it has; 0 if it says nothing."""
    recorded_seq: int = 0
    """The newest fact of that epoch that is recorded."""
    lag: int = 0
    """Facts that it says it has and that are not recorded, those in open gaps included."""
    lag_seconds: float = 0.0
    """For how long facts have been missing; 0 while none are."""
    events: int = 0
    """Facts that were recorded, of all epochs; kept longer than the facts."""
    last_event: str = ""
    """When the newest of them happened, by the agent's clock."""
    gaps: int = 0
    """Open ones."""
    missing: int = 0
    """Facts in open gaps, of all epochs."""
    lost: int = 0
    """Facts that will never come, of all epochs."""
    conflicts: int = 0
    """Facts that came under a number that another fact has: two agents share one identity."""


class FleetAgentList(Answer, frozen=True, kw_only=True):
    recorder: str
    """The agent that answers."""
    agents: list[FleetAgentInfo]
    more: bool
    """There are agents behind these: ask again with `after`."""


class FleetGaps(Request, frozen=True, kw_only=True):
    """Facts that have not come: open gaps, and those that will never close. The oldest first."""

    agents: list[str] = msgspec.field(default_factory=list)
    lost: bool | None = None
    """True: only those that will never close; False: only those that may."""
    limit: int = MAX_GAPS


class FleetGapInfo(Answer, frozen=True, kw_only=True):
    agent: str
    epoch: str
    first: int
    last: int
    since: str
    """When it was seen."""
    tries: int
    """How often the agent was asked for it in vain."""
    due: str
    """When it will be asked for again; empty for one that is lost."""
    lost: str
    """Why it will never close; empty while it may."""


class FleetGapList(Answer, frozen=True, kw_only=True):
    gaps: list[FleetGapInfo]
    more: bool

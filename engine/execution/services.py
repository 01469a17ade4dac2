"""What runs of this agent share: the clock, the outside world as ports, the log, and how much may happen at once."""

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import msgspec

from engine.clock import Clock, SystemClock
from engine.contract import Child
from engine.events import Bus
from engine.execution.recall import Cache
from engine.execution.state import States
from engine.execution.waiting import Waits
from engine.limits.growth import Neighbours
from engine.ports import Http, Requester
from engine.resources.gauge import Gauge
from engine.resources.scheduling import Scheduling
from engine.secrets import SecretSource
from engine.store.executions import ExecutionRow
from engine.values import Json


class Log(Protocol):
    """Where lines of nodes and of the engine go."""

    def __call__(self, level: str, message: str, fields: Mapping[str, Json]) -> None: ...


def silent(level: str, message: str, fields: Mapping[str, Json]) -> None:
    """A log that nobody reads."""


class ExecutionConfig(msgspec.Struct, frozen=True, kw_only=True):
    """How much may happen at once."""

    max_executions: int = 100
    """Executions that run at the same time; waiting and paused ones do not count."""
    max_queued: int = 2000
    """Queued executions known in memory; beyond that the store is asked."""
    queue_high: int = 100_000
    """When so many executions wait under a flow, on the whole agent, nothing more is taken in …"""
    queue_low: int = 80_000
    """… until there are so many."""
    scheduling: Scheduling = Scheduling()
    """How the load of the machine bounds how many run."""
    max_concurrent_nodes: int = 64
    """Attempts of one execution that run at the same time, unless its workflow says otherwise."""
    grace_seconds: float = 10.0
    """How long running attempts may go on after a stop or a cancel."""
    park_seconds: float = 1.0
    """A wait longer than this gives its slot back."""
    max_output_bytes: int = 16 * 1024 * 1024
    """A larger output fails its node."""
    max_deaths: int = 100
    """An execution that was resumed this often without a new checkpoint is failed: it kills the process. High, because
    a shaky power supply interrupts the innocent just as often (see test_random_kills_lose_nothing).
    """
    max_hops: int = 16
    """Executions may cause executions this many times in a row."""


class Parent(msgspec.Struct, frozen=True):
    """An execution that starts another one."""

    row: ExecutionRow
    path: str
    """Of the node that does."""
    params: Mapping[str, Json]
    """What it was bound to."""
    variables: Mapping[str, Json]
    """`vars` as they are now."""


class Starter(Protocol):
    """Makes executions that nodes start."""

    async def of(self, parent: Parent, child: Child) -> ExecutionRow:
        """A row that is not stored yet. Raises CannotStart."""
        ...


class Services(msgspec.Struct, kw_only=True):
    """The outside world of all runs. A port that is None makes the nodes that need it fail with a clear error."""

    bus: Bus
    clock: Clock = SystemClock()
    http: Http | None = None
    requester: Requester | None = None
    secrets: SecretSource | None = None
    log: Log = silent
    gauge: Gauge | None = None
    """Reads the load; None for this machine's own."""
    neighbours: Neighbours = msgspec.field(default_factory=Neighbours)
    """The executions in this process."""
    waits: Waits = msgspec.field(default_factory=Waits)
    """What their attempts wait for."""
    agent: Mapping[str, Json] = msgspec.field(default_factory=lambda: {"id": "local", "labels": {}})
    """`agent` in expressions."""
    config: ExecutionConfig = ExecutionConfig()
    starter: Starter | None = None
    """Set by the engine."""
    states: States | None = None
    """Set by the engine."""
    cache: Cache | None = None
    """Set by the engine."""
    workflows_dir: Path | None = None
    """Where workflow files lie that nodes may start."""
    jitter: random.Random = random.Random()  # noqa: S311 - spreads retries, protects nothing

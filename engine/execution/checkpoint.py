"""What one step of a run makes durable, as one unit of the store: results, state, facts and publications together."""

import msgspec

from engine.crash import crash_point
from engine.events import Event
from engine.states import ExecutionState
from engine.store import cache, checkpoints, executions, outbox, state, usage, waits
from engine.store.cache import Keeping
from engine.store.checkpoints import NodeRow
from engine.store.executions import ExecutionRow
from engine.store.outbox import Publication
from engine.store.transaction import Transaction
from engine.store.usage import Statistics
from engine.store.waits import WaitRow
from engine.values import encode_json


class Finish(msgspec.Struct, frozen=True, kw_only=True):
    """The end of an execution."""

    status: ExecutionState
    outputs: bytes | None
    error: bytes | None
    at: int
    statistics: Statistics
    before: Statistics | None = None
    """Those of an earlier end, which are in the history already: the execution was let run again."""
    workflow: str
    successor: ExecutionRow | None = None
    """The execution of the workflow's `on_failure`, created in the same commit."""


class Checkpoint:
    """A unit under construction; called once by the writer, in the transaction. May be called again after a full
    disk, so it changes nothing but through the transaction."""

    __slots__ = (
        "cached",
        "children",
        "execution",
        "facts",
        "forgotten",
        "finish",
        "move",
        "moved_at",
        "progress",
        "publications",
        "rows",
        "started_at",
        "timed",
        "waits",
        "waits_over",
        "warned",
    )

    def __init__(self, execution: str) -> None:
        self.execution = execution
        self.rows: list[NodeRow] = []
        self.facts: list[Event] = []
        self.publications: list[tuple[Publication, int]] = []
        self.children: list[ExecutionRow] = []
        """Executions that nodes start."""
        self.cached: list[Keeping] = []
        """Results that are kept to be used again, and those that were."""
        self.forgotten: list[str] = []
        """Paths of nodes whose changes of state need not be remembered any more."""
        self.waits: list[WaitRow] = []
        """What nodes wait for from now on."""
        self.waits_over: list[tuple[str, int | None]] = []
        """Paths of nodes that wait no more, and when they were cancelled, if they were."""
        self.timed = False
        """A node sleeps, is retried, or is in doubt."""
        self.started_at: int | None = None
        """Mark the execution as running since then."""
        self.move: tuple[ExecutionState, int | None] | None = None
        """A new state that is not an end, and when it is due."""
        self.moved_at = 0
        self.finish: Finish | None = None
        self.warned = ""
        """Limits of which there is a warning now, each with a blank behind it."""
        self.progress = False
        """The first checkpoint after a resumption: the deaths before it are forgiven."""

    @property
    def urgent(self) -> bool:
        """Something in it must be durable at once, whatever the workflow's durability: a timer, a wait, a state."""
        return bool(self.timed or self.waits or self.waits_over or self.move or self.finish or self.progress)

    @property
    def empty(self) -> bool:
        return not (self.rows or self.facts or self.started_at or self.move or self.finish)

    @property
    def only_starts(self) -> bool:
        """Nothing is built on it yet, and the result of the first node mostly comes at once."""
        return self.started_at is not None and not (self.rows or self.move or self.finish)

    def __call__(self, tx: Transaction) -> None:
        execution = self.execution
        if self.started_at is not None:
            executions.start(tx, execution, self.started_at)
        for row in self.rows:
            checkpoints.write(tx, execution, row)
        for path, cancelled_at in self.waits_over:
            waits.end(tx, execution, path, cancelled_at)
        for child in self.children:
            executions.create(tx, child)
            tx.children.append(child)
        for wait in self.waits:
            if (answer := waits.begin(tx, wait)) is not None:
                tx.answers.append((execution, wait.path, answer))
        for keeping in self.cached:
            cache.keep(tx, keeping)
        if self.forgotten:
            state.forget(tx, execution, self.forgotten)
        for publication, at in self.publications:
            outbox.publish(tx, publication, at)
        if self.progress:
            executions.forgive(tx, execution)
        if self.move is not None:
            status, due = self.move
            if status is ExecutionState.WAITING and waits.has_answered(tx, execution):
                due = self.moved_at  # the answer came while the execution was being parked
            executions.move(tx, execution, status, due=due)
        if self.finish is not None:
            end = self.finish
            executions.finish(
                tx, execution, end.status, now=end.at, outputs=end.outputs, error=end.error,
                statistics=encode_json(end.statistics),
            )  # fmt: skip
            usage.book(tx, end.workflow, end.at, end.statistics, end.before, failed=end.status is ExecutionState.FAILED)
            waits.execution_ended(tx, execution, end.status.value, outputs=end.outputs, error=end.error, now=end.at)
            if end.successor is not None:
                executions.create(tx, end.successor)
        if self.warned:
            executions.warn(tx, execution, self.warned)
        for fact in self.facts:
            tx.fact(fact)
        crash_point("checkpoint-before-commit")

"""Writes down what happens to one execution: rows and facts for the store, live events for who watches.

Everything between two `commit`s is one unit: it becomes true together or not at all.
"""

import asyncio
from collections.abc import Callable

import msgspec

from engine.clock import format_time
from engine.construct import Ending
from engine.contract import Expectation
from engine.events import Event, Kind
from engine.execution.checkpoint import Checkpoint, Finish
from engine.execution.context import AttemptContext
from engine.execution.frame import Active, Frame
from engine.execution.pace import Pace
from engine.execution.run import NodeError
from engine.execution.services import Services
from engine.limits.meter import LimitWarning
from engine.limits.tally import Tally
from engine.planning.plan import Plan, PlannedNode
from engine.states import SETTLED, ExecutionState, NodeState
from engine.store import Store
from engine.store.checkpoints import NodeRow
from engine.store.executions import ExecutionRow
from engine.store.usage import read_statistics
from engine.store.waits import WaitRow
from engine.values import Json, encode_json

MAX_FACT_OUTPUT = 16 * 1024
"""Bytes of an output that may travel with a fact."""

_TIMED = frozenset({NodeState.RETRYING, NodeState.WAITING, NodeState.IN_DOUBT})
_ENDINGS = {
    ExecutionState.COMPLETED: Kind.WORKFLOW_COMPLETED,
    ExecutionState.PARTIAL: Kind.WORKFLOW_COMPLETED,
    ExecutionState.FAILED: Kind.WORKFLOW_FAILED,
    ExecutionState.CANCELLED: Kind.WORKFLOW_CANCELLED,
}


class Journal:
    """The record of one execution under way."""

    def __init__(
        self, store: Store, services: Services, plan: Plan, row: ExecutionRow, root: Frame, last_seq: int, tally: Tally,
        *, durable: Callable[[], None], failed: Callable[[BaseException], None],
    ) -> None:  # fmt: skip
        """`last_seq` is the number of the newest row. `durable` is told of each commit; `failed` when the store
        refused one: nothing may be built on it."""
        self._store = store
        self._tell_durable = durable
        self._tell_failed = failed
        self._bus = services.bus
        self._plan = plan
        self._row = row
        self._root = root
        self._tally = tally
        self._seq = last_seq
        self._step = Checkpoint(row.id)
        self._submitted = self._durable = 0
        """How many commits were handed to the store, and how many of them are on the disk."""
        self.last: asyncio.Future[None] | None = None
        """The newest commit; None while everything known is durable."""
        self.expecting: set[str] = set()
        """Paths of nodes that have a row among the waits."""
        self._levels_begun: set[int] = set()
        self._pace = Pace(plan.workflow)
        self._levels_told = 0
        """Levels that had settled at the last commit."""

    # --- nodes

    def completed(
        self, frame: Frame, node: PlannedNode, ctx: AttemptContext, body: bytes, *, port: str | None, started: int,
        now: int, error: NodeError | None = None,
    ) -> None:  # fmt: skip
        """A node's result, and the messages that it publishes with it. `error`: its default replaced a failure."""
        step = self._step
        self._keep(frame, node, NodeState.COMPLETED, output=body, port=port, error=error, started=started, finished=now)
        for publication in ctx.publications:
            publication.headers.setdefault("Ganglion-Cause", self._row.id)
            publication.headers.setdefault("Ganglion-Hops", str(self._row.hops + 1))
            self._step.publications.append((publication, now))
        if ctx.children:
            step.children.extend(ctx.children)
        if ctx.changed_state:
            step.forgotten.append(ctx.path)
        if ctx.recall is not None and error is None:
            keeping = ctx.recall.keeping(self._row.workflow, body, port, now)
            if keeping is not None:
                self._step.cached.append(keeping)
        if ctx.remembering and error is None:
            step.cached.extend(ctx.remembering)
        data: dict[str, Json] = {"attempt": ctx.attempt, "duration_seconds": (now - started) / 1_000_000}
        if ctx.recall is not None and ctx.recall.hit is not None:
            data["cached"] = True
        if port is not None:
            data["port"] = port
        if error is not None:
            data["error"] = {"kind": error.kind, "message": error.message[:500]}
        if self._plan.workflow.events_outputs and len(body) <= MAX_FACT_OUTPUT:
            data["output"] = msgspec.Raw(body)
        self._fact(Kind.NODE_COMPLETED, now, data, ctx.path)

    def failed(self, frame: Frame, node: PlannedNode, error: NodeError, *, started: int | None, now: int) -> None:
        self._keep(frame, node, NodeState.FAILED, error=error, started=started, finished=now)
        data = {"attempt": error.attempt, "kind": error.kind, "message": error.message[:2000]}
        self._fact(Kind.NODE_FAILED, now, data, frame.path(node))

    def retrying(self, frame: Frame, node: PlannedNode, error: NodeError, *, started: int, due: int, now: int) -> None:
        self._keep(frame, node, NodeState.RETRYING, error=error, started=started, due=due)
        data = {
            "attempt": error.attempt,
            "kind": error.kind,
            "message": error.message[:2000],
            "delay_seconds": (due - now) / 1_000_000,
        }
        self._fact(Kind.NODE_RETRY, now, data, frame.path(node))

    def waiting(
        self, frame: Frame, node: PlannedNode, ctx: AttemptContext, memo: bytes, *, started: int, due: int | None,
        now: int, expects: Expectation | None = None,
    ) -> None:  # fmt: skip
        path = frame.path(node)
        self._keep(frame, node, NodeState.WAITING, output=memo, started=started, due=due)
        data: dict[str, Json] = {"until": None if due is None else format_time(due)}
        self._step.children.extend(ctx.children)
        if ctx.changed_state:
            self._step.forgotten.append(path)
        if expects is not None:
            data["expects"] = expects.kind
            self.expecting.add(path)
            self._step.waits.append(
                WaitRow(
                    execution=self._row.id, path=path, kind=expects.kind, key=expects.key,
                    workflow=self._row.workflow, node=node.node.id, detail=encode_json(expects.detail),
                    created_at=now, due=due,
                )
            )  # fmt: skip
        self._fact(Kind.NODE_WAITING, now, data, path)

    def opened(self, frame: Frame, node: PlannedNode, memo: bytes | None, now: int) -> None:
        """A control-flow node opens; `memo` holds parameters that could not be evaluated again."""
        self._keep(frame, node, NodeState.RUNNING, output=memo, started=now)

    def ended(self, active: Active, ending: Ending, values: bytes | None, *, began: int, now: int) -> None:
        """A body ended: its row stands for all that is in it."""
        path = active.path + ending.opening.suffix
        error = None
        if ending.state is NodeState.FAILED:
            error = encode_json(NodeError(ending.kind, ending.message))
            data: dict[str, Json] = {"kind": ending.kind, "message": ending.message[:2000], "node": ending.node}
            self._fact(Kind.ITERATION_FAILED, now, data, path)
        elif self._bus.live_wanted:
            self._live(Kind.ITERATION_COMPLETED, now, {"status": ending.state.value}, path)
        self._write(
            NodeRow(
                path=path, status=ending.state, attempt=1, output=values, port=ending.node or None, error=error,
                started_at=began, finished_at=now,
            )
        )  # fmt: skip

    def skipped(self, frame: Frame, node: PlannedNode, reason: str, now: int) -> None:
        self._keep(frame, node, NodeState.SKIPPED, output=encode_json(reason), finished=now)
        self._fact(Kind.NODE_SKIPPED, now, {"reason": reason}, frame.path(node))

    def cancelled(self, frame: Frame, node: PlannedNode, now: int) -> None:
        started = frame.run.first_start[node.index] or None
        self._keep(frame, node, NodeState.CANCELLED, started=started, finished=now)

    def in_doubt(self, frame: Frame, node: PlannedNode, row: NodeRow, now: int) -> None:
        """An attempt did not return: the process died under it."""
        self._write(msgspec.structs.replace(row, status=NodeState.IN_DOUBT))
        self._fact(Kind.NODE_IN_DOUBT, now, {"attempt": row.attempt}, frame.path(node))

    def cut_short(self, frame: Frame, node: PlannedNode, error: NodeError, *, started: int, now: int) -> None:
        """An attempt did not return in time."""
        self._keep(frame, node, NodeState.IN_DOUBT, error=error, started=started)
        self._fact(Kind.NODE_IN_DOUBT, now, {"attempt": error.attempt, "kind": error.kind}, frame.path(node))

    def spent(self, ctx: AttemptContext) -> None:
        """An attempt ended: what it used goes with its node's next row."""
        ctx.close()
        if ctx.used is not None:
            self._tally.spent(ctx.path, ctx.used)
            ctx.used = None

    # --- the execution

    def warned(self, warning: LimitWarning, now: int) -> None:
        """A limit is nearly reached."""
        self._step.warned += f"{warning.key} "
        data: dict[str, Json] = {"limit": warning.limit, "used": warning.used, "of": warning.of}
        self._fact(Kind.LIMIT_WARNING, now, data, warning.path)

    def begun(self, now: int, kind: str) -> None:
        self._step.started_at = now
        told: dict[str, Json] = {"trigger": kind}
        if self._row.hops:
            told["hops"] = self._row.hops
        self._fact(Kind.WORKFLOW_STARTED, now, told)

    def went_on(self) -> None:
        """It was interrupted before: the next checkpoint shows that it gets on."""
        self._step.progress = True

    def moved(self, state: ExecutionState, now: int, *, due: int | None = None) -> None:
        self._step.move, self._step.moved_at = (state, due), now
        if state is ExecutionState.PAUSED:
            self._fact(Kind.WORKFLOW_PAUSED, now, {})

    def finished(
        self, state: ExecutionState, *, outputs: bytes | None, started: int, now: int, successor: ExecutionRow | None,
        reason: str = "",
    ) -> None:  # fmt: skip
        seconds = (now - started) / 1_000_000
        statistics = self._tally.statistics(seconds)
        data: dict[str, Json] = {"status": state.value, "duration_seconds": seconds, "statistics": statistics}
        error = None
        if state is ExecutionState.FAILED and self._root.run.failure is not None:
            node, failure = self._root.run.failure
            about = {"kind": failure.kind, "message": failure.message, "node": node or None}
            error = encode_json(about)
            data["error"] = {**about, "message": failure.message[:2000]}
        if state is ExecutionState.CANCELLED:
            data["reason"] = reason
            if reason:
                error = encode_json({"kind": "cancelled", "message": reason, "node": None})
        if outputs is not None and len(outputs) <= MAX_FACT_OUTPUT:
            data["outputs"] = msgspec.Raw(outputs)
        before = None if self._row.statistics is None else read_statistics(self._row.statistics)
        self._step.finish = Finish(
            status=state, outputs=outputs, error=error, at=now, statistics=statistics, before=before,
            workflow=self._row.workflow, successor=successor,
        )  # fmt: skip
        self._fact(_ENDINGS[state], now, data)

    # --- durability

    def commit(self, *, flush: bool = False) -> asyncio.Future[None] | None:
        """Hand everything since the last commit to the store, if it is time for that; None if it is not, or there is
        nothing. `flush`: it is."""
        step = self._step
        if step.empty:
            return None
        if not (flush or self._pace.waits):
            closed = self._levels_closed()
            if not self._pace.is_due(step, closed - self._levels_told):
                return None
            self._levels_told = closed
        self._step = Checkpoint(self._row.id)
        future = self._store.submit(step, lazy=step.only_starts)
        future.add_done_callback(self._committed)
        self.last = future
        self._submitted += 1
        if self._bus.live_wanted:
            self._show(step)
        return future

    def flush(self) -> None:
        """Hand over everything at once."""
        self.commit(flush=True)

    @property
    def step(self) -> int:
        """The number of the commit that comes next. What becomes ready in this step is built from it and from what was
        handed over before, pure results included."""
        return self._submitted + 1

    @property
    def lag(self) -> int:
        """Commits that were handed over and are not durable."""
        return self._submitted - self._durable

    def holds(self, step: int) -> bool:
        """Whether everything up to that commit is durable: the store commits in order. A step that wrote nothing has
        none. Asked between two steps."""
        return self._durable >= step or self._durable == self._submitted or not self._pace.waits

    def _levels_closed(self) -> int:
        return sum(not left for left in self._root.run.level_open)

    async def declare(self, path: str, attempt: int, started: int) -> None:
        """Commit that an at_most_once attempt is about to begin, and everything before."""
        self.commit(flush=True)
        self._seq += 1
        intent = Checkpoint(self._row.id)
        intent.rows.append(
            NodeRow(path=path, status=NodeState.RUNNING, attempt=attempt, started_at=started, seq=self._seq)
        )
        await asyncio.shield(self._store.submit(intent))

    # --- live

    def started(self, frame: Frame, node: PlannedNode, attempt: int, now: int) -> None:
        """An attempt begins: live only."""
        if not self._bus.live_wanted:
            return
        if frame is self._root and node.level not in self._levels_begun:
            self._levels_begun.add(node.level)
            self._live(Kind.LEVEL_STARTED, now, {"level": node.level, "nodes": self._plan.level_sizes[node.level]})
        self._live(Kind.NODE_STARTED, now, {"attempt": attempt, "type": node.type.name}, frame.path(node))

    def _show(self, step: Checkpoint) -> None:
        now = step.facts[-1].time if step.facts else 0
        total = len(self._plan.nodes)
        settled = total - self._root.run.open
        index, nodes = self._plan.index, self._plan.nodes
        for level in {nodes[index[row.path]].level for row in step.rows if row.path in index}:
            if not self._root.run.level_open[level]:
                self._live(Kind.LEVEL_COMPLETED, now, {"level": level})
        self._live(Kind.CHECKPOINT_CREATED, now, {"nodes": [row.path for row in step.rows[:100]]})
        self._live(Kind.PROGRESS_UPDATE, now, {"settled": settled, "total": total})

    # --- how

    def _keep(
        self, frame: Frame, node: PlannedNode, state: NodeState, *, output: bytes | None = None,
        port: str | None = None, error: NodeError | None = None, started: int | None = None,
        finished: int | None = None, due: int | None = None,
    ) -> None:  # fmt: skip
        path = frame.path(node)
        if path in self.expecting and state is not NodeState.WAITING:
            self.expecting.discard(path)
            self._step.waits_over.append((path, finished if state is NodeState.CANCELLED else None))
        size = len(output) if output is not None and state is NodeState.COMPLETED else 0
        if state in SETTLED:
            attempts = frame.run.attempts[node.index]
            self._tally.settled(state, attempts=attempts, output_bytes=size, holds=bool(node.bodies))
        self._write(
            NodeRow(
                path=path,
                status=state,
                attempt=frame.run.attempts[node.index],
                port=port,
                output=output,
                error=None if error is None else encode_json(error),
                started_at=started,
                finished_at=finished,
                due=due,
                usage=self._tally.written(path, size),
            )
        )

    def _write(self, row: NodeRow) -> None:
        self._seq += 1
        row.seq = self._seq
        self._step.timed = self._step.timed or row.status in _TIMED
        self._step.rows.append(row)

    def _event(self, kind: Kind, now: int, data: dict[str, Json], path: str) -> Event:
        return Event(
            kind=kind,
            time=now,
            workflow=self._row.workflow,
            version=self._row.version,
            execution=self._row.id,
            node=path,
            data=data,
        )

    def _fact(self, kind: Kind, now: int, data: dict[str, Json], path: str = "") -> None:
        self._step.facts.append(self._event(kind, now, data, path))

    def _committed(self, future: asyncio.Future[None]) -> None:
        error = None if future.cancelled() else future.exception()
        if error is not None:
            self._tell_failed(error)
        else:
            self._durable += 1
            self._tell_durable()

    def _live(self, kind: Kind, now: int, data: dict[str, Json], path: str = "") -> None:
        self._bus.emit([self._event(kind, now, data, path)])

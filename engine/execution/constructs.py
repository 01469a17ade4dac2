"""The control-flow nodes of one execution that are open: asks them what runs next, and runs it in frames.

    open -> next -> a frame begins -> its nodes settle -> ended -> next … -> the node itself settles

A construct that was open when the process died is opened again and asked the same questions: bodies that had ended are
told from their rows at once, bodies that had begun go on where they were.
"""

import asyncio
from collections.abc import Callable, Mapping

import msgspec

from engine.construct import Construct, Ending, Opening
from engine.contract import Done, Fail
from engine.execution.context import AttemptContext, Stop
from engine.execution.frame import Active, Frame
from engine.execution.journal import Journal
from engine.execution.large import NONE_HELD
from engine.execution.metering import KIND, Metering, time_is_over
from engine.execution.node_timers import NodeTimers
from engine.execution.restoration import Restored, Rows
from engine.execution.run import NodeError, Progress, Run
from engine.execution.services import Services
from engine.execution.settlement import Settlement
from engine.execution.work import Work
from engine.planning.plan import PlannedBody, PlannedNode
from engine.states import NodeState
from engine.store.checkpoints import NodeRow
from engine.values import Json, encode_json


class Constructs:
    """Opens and closes bodies. Everything happens within a step of the runner."""

    def __init__(
        self, rows: Rows, journal: Journal, settlement: Settlement, timers: NodeTimers, services: Services, work: Work,
        *, context: Callable[[Frame, PlannedNode], AttemptContext],
        parameters: Callable[[Frame, PlannedNode, AttemptContext], msgspec.Struct | Fail], metering: Metering | None,
        restored: Callable[[Frame, Restored, bool], None], expired: Callable[[], None],
    ) -> None:  # fmt: skip
        """`restored` takes up what a frame's rows say (its last argument: only to be stopped); `expired` makes the
        runner look at `work`."""
        self._rows = rows
        self._journal = journal
        self._settlement = settlement
        self._timers = timers
        self._services = services
        self._clock = services.clock
        self._work = work
        self._context = context
        self._parameters = parameters
        self._metering = metering
        self._restored = restored
        self._expired = expired
        self._alarms: dict[Active, asyncio.TimerHandle] = {}
        self.resting = False
        """Nothing new is opened: a pause, or the agent's end."""

    # --- a construct begins

    def open(self, frame: Frame, node: PlannedNode) -> None:
        """A control-flow node starts."""
        now = self._clock.now()
        ctx = self._context(frame, node)
        frame.run.first_start[node.index] = now
        frame.run.move(node, NodeState.RUNNING)
        params = self._parameters(frame, node, ctx)
        memo = None
        if node.parameters.volatile and not isinstance(params, Fail):
            memo = node.parameters.stored(params)
        self._journal.opened(frame, node, memo, now)
        self._journal.started(frame, node, ctx.attempt, now)
        active = self._make(frame, node, params, ctx, now)
        if active is not None:
            self.proceed(active)

    def reopen(self, frame: Frame, node: PlannedNode, row: NodeRow, *, dying: bool) -> None:
        """One that was open goes on. `dying`: only to be stopped, for its execution is at its end."""
        frame.run.attempts[node.index] -= 1
        ctx = self._context(frame, node)
        if self._metering is not None:
            self._metering.enter(frame, node, ctx)
        params = frame.inputs.parameters(node) if row.output is None else node.parameters.restored(row.output)
        active = self._make(frame, node, params, ctx, row.started_at or self._clock.now())
        if active is not None:
            self.proceed(active, known=self._rows.suffixes(active.path) if dying else None)

    def _make(
        self, frame: Frame, node: PlannedNode, params: msgspec.Struct | Fail, ctx: AttemptContext, started: int
    ) -> Active | None:
        """The open construct; None if its parameters are unfit, which settles it."""
        construct: Construct | None = None
        make = node.type.construct
        if not isinstance(params, Fail) and make is not None:
            try:
                construct = make(params, {name: body.names for name, body in node.bodies.items()})
            except ValueError as error:
                params = Fail(str(error), kind="invalid")
        if construct is None:
            failed = params if isinstance(params, Fail) else Fail("the node type has no construct", kind="bug")
            self._work.add(frame, self._settlement.settle(frame, node, ctx, failed, started))
            return None
        own = node.node.limits
        limits = [limit for limit in (node.node.timeout, node.node.deadline) if limit is not None]
        if own is not None and own.wall_time is not None:
            limits.append(own.wall_time)
        active = Active(frame, node, construct, ctx, started, Stop() if limits or own is not None else frame.stop)
        frame.opened[node.index] = active
        if limits:
            left = min(limits) - (self._clock.now() - started) / 1_000_000
            self._alarms[active] = asyncio.get_running_loop().call_later(max(0.0, left), self._time_is_over, active)
        return active

    # --- its bodies

    def proceed(self, active: Active, *, known: set[str] | None = None) -> None:
        """Ask it what to do until it waits or ends.

        `known`: bodies of which anything is known; those alone are opened, to be stopped with it.
        """
        construct = active.construct
        while len(active.frames) < max(1, construct.concurrency) and not (self.resting and known is None):
            if known is not None and not known:
                self.stop(active, request=True)
                return
            step = construct.next()
            if step is None:
                break
            if not isinstance(step, Opening):
                self._conclude(active, step)
                return
            if known is not None and step.suffix not in known:
                construct.ended(Ending(step, NodeState.CANCELLED))
                known.clear()
                continue
            if known is not None:
                known.discard(step.suffix)
            self._begin(active, step, dying=known is not None)
        if known is not None:
            self.stop(active, request=True)

    def _begin(self, active: Active, opening: Opening, *, dying: bool) -> None:
        """Open a body, or tell at once how it ended before a crash."""
        path = active.path + opening.suffix
        body = active.node.opened(opening)
        row = self._rows.ended(path)
        if row is not None:
            if self._is_seen(active, opening.body):
                active.seen[opening.body] = self._rows.results(path + "/")
            active.latest = max(active.latest, row.finished_at or 0)
            active.construct.ended(ending_of(opening, body, row, self._rows.value))
            return
        begun = self._rows.begun(path + "/")
        frame = self._frame(active, opening, body, path)
        if body.before is not None and not begun:
            try:
                wanted = frame.inputs.condition(body.before)
            except ValueError as error:
                self._tell(active, Ending(opening, NodeState.FAILED, kind="expression", message=str(error)), frame)
                return
            if not wanted:
                active.construct.refused(opening)
                return
        active.frames.append(frame)
        if begun:
            found = self._rows.restore(frame, self._journal, self._timers, self._clock.now())
            self._restored(frame, found, dying and not body.shielded)
        if not dying or body.shielded:
            self._work.add(frame, frame.run.begin(frame.inputs.when, self._clock.now()))

    def _frame(self, active: Active, opening: Opening, body: PlannedBody, path: str) -> Frame:
        home = active.home
        outputs, errors = home.inputs.visible(body)
        for name in body.sees:
            seen, failed = active.seen.get(name, ({}, {}))
            outputs.update(seen)
            errors.update(failed)
        run = Run(body, outputs, errors)
        # One after the other, each begins when the one before ended: a time that is in a row. Side by side they share
        # the construct's, since nobody knows after a crash which had ended when one was opened.
        began = max(active.latest, active.started) if active.construct.concurrency == 1 else active.started
        frame = Frame(
            run, home.inputs.inside(run, opening.names, active.node.node.id + opening.suffix, began),
            Stop() if body.shielded else active.stop,
            prefix=path + "/", began=began, opened_at=self._clock.now(), active=active, body=body, opening=opening,
        )  # fmt: skip
        if self._metering is not None:
            account = active.ctx.account
            frame.account = self._metering.shelter(account) if body.shielded else account
        return frame

    def settled(self, frame: Frame) -> None:
        """All nodes of a body have settled."""
        active, body, opening = frame.active, frame.body, frame.opening
        if active is None or body is None or opening is None or frame.over:
            return
        frame.over = True
        run = frame.run
        if run.failure is not None:
            node, error = run.failure
            path = frame.prefix + node if node else frame.prefix[:-1]
            ending = Ending(opening, NodeState.FAILED, kind=error.kind, message=error.message, node=path)
        elif frame.stopped:
            ending = Ending(opening, NodeState.CANCELLED)
        else:
            ending = self._completed(frame, opening, body)
        active.frames.remove(frame)
        active.home.run.partial = active.home.run.partial or run.partial
        if self._is_seen(active, opening.body):
            active.seen[opening.body] = (run.outputs, run.errors)
        self._tell(active, ending, frame)
        self.proceed(active)

    def _completed(self, frame: Frame, opening: Opening, body: PlannedBody) -> Ending:
        values: dict[str, Json] = {}
        error = frame.run.errors.get(opening.only) if opening.only not in frame.run.outputs else None
        if error is not None:  # it is not critical, and still has nothing to give
            path = frame.prefix + opening.only
            return Ending(opening, NodeState.FAILED, kind=str(error["kind"]), message=str(error["message"]), node=path)
        try:
            for name in body.gives:
                program = body.after.get(name)
                if program is not None:
                    values[name] = frame.inputs.value(program)
                elif name == "output":
                    values[name] = None if body.sole is None else frame.run.outputs.get(body.sole)
        except ValueError as error:
            path = frame.prefix[:-1]
            return Ending(opening, NodeState.FAILED, kind="expression", message=f"{name}: {error}", node=path)
        return Ending(opening, NodeState.COMPLETED, values)

    def _tell(self, active: Active, ending: Ending, frame: Frame) -> None:
        """A body ended: its row, and the construct."""
        now = self._clock.now()
        values = None
        if ending.state is NodeState.COMPLETED:
            values = encode_json(_stored(ending.values))
        self._journal.ended(active, ending, values, began=frame.opened_at, now=now)
        active.latest = max(active.latest, now)
        active.construct.ended(ending)

    def _is_seen(self, active: Active, name: str) -> bool:
        """Whether another body of the node sees the nodes of this one."""
        return any(name in body.sees for body in active.node.bodies.values())

    # --- its end

    def stop(self, active: Active, *, request: bool, error: tuple[str, str] | None = None) -> None:
        """Start nothing more in it, except what is shielded. `request`: attempts under way are asked to end."""
        active.error = active.error or error
        if not active.stopping:
            active.stopping = True
            active.construct.stop()
        for frame in list(active.frames):
            if frame.body is None or not frame.body.shielded:
                self.stop_frame(frame, request=request)
        if not active.frames:
            self.proceed(active)

    def stop_frame(self, frame: Frame, *, request: bool) -> None:
        """The same for all that is in a frame."""
        frame.stopped = True
        if request:
            frame.stop.requested = True
        now = self._clock.now()
        for node in frame.run.abandon(now):
            self._timers.drop(frame, node)
            self._settlement.waiting.pop(frame.path(node), None)
            self._journal.cancelled(frame, node, now)
        for active in list(frame.opened.values()):
            self.stop(active, request=request)
        self._work.add(frame, Progress())

    def forget(self) -> None:
        """No alarm rings any more."""
        for alarm in self._alarms.values():
            alarm.cancel()
        self._alarms.clear()

    def _conclude(self, active: Active, outcome: Done | Fail) -> None:
        frame, node = active.home, active.node
        del frame.opened[node.index]
        if (alarm := self._alarms.pop(active, None)) is not None:
            alarm.cancel()
        if active.error is not None:
            kind, message = active.error
            outcome = Fail(message, kind=kind)
        if active.stopping and active.error is None:
            now = self._clock.now()
            self._journal.cancelled(frame, node, now)
            progress = frame.run.settle(node, NodeState.CANCELLED, frame.inputs.when, at=now)
        else:
            progress = self._settlement.settle(frame, node, active.ctx, outcome, active.started)
        self._work.add(frame, progress)

    def _time_is_over(self, active: Active) -> None:
        self._alarms.pop(active, None)
        seconds = (self._clock.now() - active.started) / 1_000_000
        error = ("timeout", f"not done after {seconds:g} s")
        limits = active.node.node.limits
        if limits is not None and limits.wall_time is not None and seconds >= limits.wall_time:
            error = (KIND, time_is_over(limits.wall_time, f"node {active.path}"))
        self.stop(active, request=True, error=error)
        self._expired()


def _stored(values: Mapping[str, Json]) -> Json:
    """What the row of a body holds: its output, or all values where there are others."""
    return values if values.keys() - {"output"} else values.get("output")


def ending_of(
    opening: Opening, body: PlannedBody, row: NodeRow, value: Callable[[NodeRow], Json] = NONE_HELD.value
) -> Ending:  # fmt: skip
    """How a body ended before a crash."""
    if row.status is NodeState.COMPLETED:
        held = value(row)
        values = held if set(body.gives) - {"output"} else {"output": held}
        return Ending(opening, NodeState.COMPLETED, values if isinstance(values, dict) else {})
    error = NodeError("failed", "") if row.error is None else msgspec.json.decode(row.error, type=NodeError)
    return Ending(opening, row.status, kind=error.kind, message=error.message, node=row.port or "")

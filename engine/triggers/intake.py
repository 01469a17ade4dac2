"""Messages become inbox rows and executions, or dead letters: a whole batch in one commit, before anyone is told.

    Message -> routes (which workflows) -> body (trigger.data) -> one unit of the store -> Receipt -> the mesh acks

What is told after the commit is true after a crash. A message that can't be taken in never spoils its neighbours: it
becomes a dead letter in the same commit.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import msgspec

from engine.clock import format_time
from engine.crash import crash_point
from engine.definition.model import BodyFormat, Capture, NatsTrigger
from engine.definition.parameters import bind_params
from engine.expressions import ExpressionError
from engine.flow.door import UNBOUNDED
from engine.flow.entrance import Entrance
from engine.flow.placing import Unplaceable, place
from engine.ids import new_execution_id
from engine.states import ExecutionState
from engine.store import Store, Transaction, deadletters, executions
from engine.store.deadletters import DeadLetter
from engine.store.executions import ExecutionRow
from engine.triggers.admission import Admission, Gate
from engine.triggers.bodies import read_body
from engine.triggers.ears import Ear
from engine.triggers.envelope import MAX_ID, Envelope, read_envelope
from engine.triggers.message import Fate, Message, Receipt
from engine.triggers.room import Room
from engine.triggers.routes import ANY_STREAM, Active, Match, Routes, Undeliverable
from engine.triggers.ticket import Reply, Start, Ticket
from engine.values import MAX_BYTES, InvalidValue, Json, check_value, encode_json

__all__ = ["Intake", "QueueFull", "Started"]

BY_HAND = "by hand"
"""The dedupe scope of what a person or a service starts."""

DEDUPE = "flow.dedupe"
"""The dedupe scope of ids that a workflow's own expression gives."""

_NOT_HERE = Receipt(Fate.HELD, (), "the workflow is not deployed here now: others may have it", 1.0)
"""A message that was fetched for a workflow which comes or goes just now."""
_Committed: TypeAlias = tuple[list[Receipt], list[ExecutionRow], Mapping[str, int]]
_log = logging.getLogger(__name__)
_encode = msgspec.json.Encoder().encode


class QueueFull(Exception):
    """A start by hand was refused: nothing was recorded. Try again when fewer wait."""


class Started(msgspec.Struct, frozen=True):
    """What a start by hand made, or had made before."""

    execution: str
    version: int
    duplicate: bool


class _Trigger(msgspec.Struct):
    """`trigger` as expressions see it."""

    kind: str
    subject: str
    headers: Mapping[str, str]
    id: str
    time: str
    data: msgspec.Raw


class Intake:
    """The one way from a message to an execution. `routes` is replaced at each deploy."""

    def __init__(
        self, store: Store, admission: Admission, routes: Routes, *, gate: Gate | None = None,
        max_bytes: int = MAX_BYTES,
    ) -> None:  # fmt: skip
        """`gate` knows the queues; without it only what the store says inside the commit bounds them."""
        self.routes = routes
        self.gate = gate
        self.admission = admission
        """Ask it for free slots before fetching messages."""
        self.max_bytes = max_bytes
        self.counters = {fate.value: 0 for fate in Fate}
        """Messages by fate since the start."""
        self._store = store

    async def accept(self, messages: Sequence[Message]) -> list[Receipt]:
        """Take a batch in; the receipts, in its order, are true on the disk. Cancelling does not undo what commits.

        Raises StoreFull (nothing was accepted: keep the messages and try again when there is room) and StoreBroken.
        """
        now = self._store.clock.now()
        return await self._commit([self._ticket(message, now) for message in messages])

    async def replay(self, letter: DeadLetter) -> Receipt:
        """Take a dead letter of the intake in once more, whichever way it came; marked as replayed in the same commit.

        Raises InvalidValue if only its beginning was kept, StoreFull, StoreBroken.
        """
        if letter.size != len(letter.body):
            raise InvalidValue(f"only {len(letter.body)} of its {letter.size} bytes were kept: it can't be replayed")
        now = self._store.clock.now()
        message = Message(
            subject=letter.subject,
            body=letter.body,
            headers={name: text for name, text in letter.headers.items() if name.lower() != "ganglion-hops"},
            received_at=now,
            stream=ANY_STREAM,
            workflow="" if letter.workflow == "_" else letter.workflow,
        )
        ticket = self._ticket(message, now)
        ticket.by_hand = True  # a person waits for the answer: nothing is held back or dropped
        [receipt] = await self._commit([ticket], lambda tx: deadletters.mark_replayed(tx, letter.id, now))
        return _taken(receipt)

    async def start_again(self, letter: DeadLetter) -> str:
        """Start what an event of another workflow did not: the letter's body is the `trigger`. Its id.

        Raises InvalidValue if only its beginning was kept, Undeliverable, StoreFull, StoreBroken.
        """
        if letter.size != len(letter.body):
            raise InvalidValue(f"only {len(letter.body)} of its {letter.size} bytes were kept: it can't be replayed")
        active = self.routes.named(letter.workflow)
        now = self._store.clock.now()
        ticket = Ticket()
        ticket.starts.append(self._start(active, _queued(active, letter.body, now), "", ""))
        [receipt] = await self._commit([ticket], lambda tx: deadletters.mark_replayed(tx, letter.id, now))
        [execution] = _taken(receipt).executions
        return execution

    async def start_by_hand(
        self,
        workflow: str,
        *,
        data: Json = None,
        params: Mapping[str, Json] | None = None,
        id: str = "",
        kind: str = "cli",
    ) -> Started:
        """Start a workflow for a person (`kind="cli"`) or a program (`"service"`); with an `id`, at most once.

        `params` replace bound ones for this execution. Raises Undeliverable for an unknown workflow, InvalidWorkflow
        for unfit params, InvalidValue for unfit data, StoreFull, StoreBroken.
        """
        active = self.routes.named(workflow)
        check_value(data)
        overrides: dict[str, Json] = {}
        if params:
            bound = bind_params(active.workflow.params, {**active.workflow.bound, **params})
            overrides = {name: bound[name] for name in params}
        encoded, encoded_params = encode_json(data), encode_json(overrides)
        if max(len(encoded), len(encoded_params)) > self.max_bytes:
            raise InvalidValue(f"the data or the params have more than {self.max_bytes} bytes")
        if len(id) > MAX_ID:
            raise InvalidValue(f"the id is longer than {MAX_ID} characters")
        now = self._store.clock.now()
        trigger = _encode(_Trigger(kind, "", {}, id, format_time(now), msgspec.Raw(encoded)))
        row = _queued(active, trigger, now, params=encoded_params)
        ticket = Ticket()
        ticket.starts.append(self._start(active, row, BY_HAND if id else "", id))
        [receipt] = await self._commit([ticket])
        [known] = _taken(receipt).executions
        duplicate = receipt.fate is Fate.DUPLICATE
        first = await self._store.read(lambda db: executions.get(db, known)) if duplicate else None
        return Started(known, first.version if first else active.version, duplicate)

    def _ticket(self, message: Message, now: int) -> Ticket:
        ticket = Ticket(message)
        try:
            envelope = read_envelope(message)
            matches = self.routes.find(message)
            if matches:
                self._fill(ticket, message, envelope, matches, now)
            ears = self.routes.awaiting(message)
            if ears:
                self._reply(ticket, message, envelope, ears, now)
            if not matches and not ears and self.routes.is_elsewhere(message):
                ticket.unclaimed = _NOT_HERE
        except (InvalidValue, Undeliverable) as error:
            ticket.bury(message, str(error))
        except Exception as error:
            # Met again at each delivery, such a message would stop the intake for good.
            _log.exception("a message on %s can't be taken in: this is a bug", message.subject)
            ticket.bury(message, f"a bug: {type(error).__name__}: {error}; please report it")
        return ticket

    def _fill(self, ticket: Ticket, message: Message, envelope: Envelope, matches: tuple[Match, ...], now: int) -> None:
        """A start for each match; the body is read once for each format that they ask for."""
        read: dict[BodyFormat, tuple[str, str, bytes] | InvalidValue] = {}
        unread: dict[BodyFormat, list[str]] = {}
        for match in matches:
            reading = match.trigger.format
            if reading not in read:
                try:
                    read[reading] = self._read(ticket, message, envelope, reading)
                except InvalidValue as error:
                    read[reading] = error
            outcome = read[reading]
            if isinstance(outcome, InvalidValue):
                unread.setdefault(reading, []).append(match.active.name)
                continue
            scope, message_id, trigger = outcome
            row = _queued(match.active, trigger, now, cause=envelope.cause, hops=envelope.hops)
            try:
                ticket.starts.append(self._start(match.active, row, scope, message_id))
            except Unplaceable as error:
                ticket.bury(message, str(error), workflow=match.active.name)
        for reading, names in unread.items():  # one letter for all who read it the same way
            ticket.bury(message, str(read[reading]), workflow=names[0] if len(names) == 1 else "_")

    def _reply(self, ticket: Ticket, message: Message, envelope: Envelope, ears: tuple[Ear, ...], now: int) -> None:
        """A reply for each wait that the message may be for; those that can't tell get a dead letter."""
        for ear in ears:
            channel = ear.channel
            try:
                scope, message_id, body = self._read(ticket, message, envelope, channel.awaited.format)
                key = ear.key(msgspec.json.decode(body), now)
            except InvalidValue as error:
                ticket.bury(message, str(error), workflow=channel.workflow)
            except ExpressionError as error:
                reason = f"nodes.{channel.node}.message.key: {error}; with `| default(null)` it is nobody's message"
                ticket.bury(message, reason, workflow=channel.workflow)
            else:
                seconds = channel.awaited.buffer_seconds
                ticket.replies.append(
                    Reply(channel.workflow, ear.id, key, body, seconds, scope, message_id, now)
                )  # fmt: skip

    def _start(self, active: Active, row: ExecutionRow, scope: str, id: str) -> Start:
        """In its place, if the workflow has a flow. Raises Unplaceable."""
        flow = active.workflow.flow
        if flow is None:
            return Start(row, scope, id)
        if (own := place(row, active.workflow)) is not None:
            scope, id = DEDUPE, own
        start = Start(row, scope, id, flow)
        if self.gate is not None and flow.queue is not None and flow.queue.holds:
            start.closed = self.gate.room(active.name, flow) <= 0
            start.retry_seconds = self.gate.seconds_to_wait(active.name, flow)
        return start

    def room_for(self, workflow: str = "") -> Admission | Room:
        """The slots of what feeds one workflow; without a name, of the subjects that all workflows share: they are
        fetched as long as one of them takes messages."""
        if self.gate is None:
            return self.admission
        return Room(self.admission, self.gate, lambda: self._room(workflow))

    def _room(self, workflow: str) -> int:
        if not workflow and self.routes.awaits_own:
            return UNBOUNDED  # what waits may be what the queue is full of
        largest = -1
        for active in self.routes.active.values():
            fed = active.name == workflow if workflow else any(map(_is_shared, active.workflow.triggers))
            flow = active.workflow.flow
            if not fed:
                continue
            if flow is None or self.gate is None:
                return UNBOUNDED
            largest = max(largest, self.gate.room(active.name, flow))
        return UNBOUNDED if largest < 0 else largest

    def _read(
        self, ticket: Ticket, message: Message, envelope: Envelope, reading: BodyFormat
    ) -> tuple[str, str, bytes]:
        """Scope and id for the inbox, and `trigger` as JSON. Raises InvalidValue."""
        body = read_body(message.body, envelope.headers, reading, max_bytes=self.max_bytes)
        headers = message.headers
        scope, message_id = ticket.position, ticket.sequence
        if body.event_id:
            scope, message_id = f"event {body.event_source}", body.event_id
            headers = {name: text for name, text in headers.items() if name.lower() not in body.attributes}
            headers.update(body.attributes)
        elif envelope.id:
            scope, message_id = message.subject, envelope.id
        time = format_time(message.received_at)
        return scope, message_id, _encode(_Trigger("nats", message.subject, headers, message_id, time, body.data))

    async def _commit(self, tickets: list[Ticket], also: Callable[[Transaction], None] | None = None) -> list[Receipt]:
        """Settle tickets in one commit; `also` goes with them unless they find a queue full."""
        if also is None and all(ticket.is_empty for ticket in tickets):
            receipts = [ticket.unclaimed for ticket in tickets]
            for receipt in receipts:
                self.counters[receipt.fate] += 1
            return receipts

        def unit(tx: Transaction) -> _Committed:
            new: list[ExecutionRow] = []
            entrance = Entrance(tx)
            receipts = [ticket.settle(tx, new, entrance) for ticket in tickets]
            if also is not None and all(receipt.fate is not Fate.HELD for receipt in receipts):
                also(tx)
            crash_point("inbox-after-insert")
            return receipts, new, entrance.left

        committed = self._store.submit(unit, patient=False)
        # A callback, so that what is committed also runs when our caller is cancelled in the meantime.
        committed.add_done_callback(self._committed)
        receipts, _, _ = await asyncio.shield(committed)
        return receipts

    def _committed(self, committed: asyncio.Future[_Committed]) -> None:
        if committed.cancelled() or committed.exception() is not None:
            return
        crash_point("intake-after-commit")
        receipts, new, left = committed.result()
        for receipt in receipts:
            self.counters[receipt.fate] += 1
        if new:
            self.admission.admit(new)
        if self.gate is not None:
            for workflow, count in left.items():
                self.gate.forget(workflow, count)


def _taken(receipt: Receipt) -> Receipt:
    """Raises QueueFull."""
    if receipt.fate is Fate.HELD:
        raise QueueFull(f"{receipt.reason}: nothing was started; try again later, or raise flow.queue.max")
    return receipt


def _is_shared(trigger: object) -> bool:
    """Its messages come by the agent's own stream."""
    return isinstance(trigger, NatsTrigger) and trigger.capture is Capture.INTAKE and trigger.stream is None


def _queued(
    active: Active, trigger: bytes, now: int, *, cause: str = "", hops: int = 0, params: bytes = b"{}"
) -> ExecutionRow:
    execution = new_execution_id(now)
    return ExecutionRow(
        id=execution,
        workflow=active.name,
        version=active.version,
        status=ExecutionState.QUEUED,
        root=execution,
        cause=cause,
        hops=hops,
        trigger=trigger,
        params=params,
        created_at=now,
    )

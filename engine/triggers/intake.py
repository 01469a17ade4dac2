"""Messages become inbox rows and executions, or dead letters: a whole batch in one commit, before anyone is told.

    Message -> routes (which workflows) -> body (trigger.data) -> one unit of the store -> Receipt -> the mesh acks

What is told after the commit is true after a crash. A message that can't be taken in never spoils its neighbours: it
becomes a dead letter in the same commit.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence

import msgspec

from engine.clock import format_time
from engine.crash import crash_point
from engine.definition.model import BodyFormat
from engine.definition.parameters import bind_params
from engine.ids import new_execution_id
from engine.states import ExecutionState
from engine.store import Store, Transaction, deadletters, executions, inbox
from engine.store.deadletters import DeadLetter
from engine.store.executions import ExecutionRow
from engine.triggers.admission import Admission
from engine.triggers.bodies import read_body
from engine.triggers.message import Fate, Message, Receipt
from engine.triggers.routes import ANY_STREAM, Match, Routes, Undeliverable
from engine.values import MAX_BYTES, InvalidValue, Json, check_value, encode_json

__all__ = ["Intake", "Started"]

MAX_HOPS = 16
"""How many executions may cause each other in a row."""
MAX_HEADERS = 16 * 1024
"""Characters of all headers together, names and values."""
MAX_ID = 1024
"""Longest id of a message, in characters."""
BY_HAND = "by hand"
"""The dedupe scope of what a person or a service starts."""

_log = logging.getLogger(__name__)
_encode = msgspec.json.Encoder().encode


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


class _Start(msgspec.Struct):
    """One execution that a message asks for. Its claim in the inbox is (workflow, scope, id); without a scope, none."""

    row: ExecutionRow
    scope: str
    id: str


class _Plan:
    """What one message asks of the commit."""

    __slots__ = ("letters", "position", "sequence", "starts")

    def __init__(self, message: Message | None = None) -> None:
        self.position, self.sequence = "", ""
        if message is not None and message.sequence > 0:
            # A stream delivers a sequence again until it is acknowledged; made anew, it starts from one again.
            self.position = f"stream {message.stream} {message.stream_created}"
            self.sequence = str(message.sequence)
        self.starts: list[_Start] = []
        self.letters: list[DeadLetter] = []


class Intake:
    """The one way from a message to an execution. `routes` is replaced at each deploy."""

    def __init__(self, store: Store, admission: Admission, routes: Routes, *, max_bytes: int = MAX_BYTES) -> None:
        self.routes = routes
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
        return await self._take(messages)

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
        [receipt] = await self._take([message], lambda tx: deadletters.mark_replayed(tx, letter.id, now))
        return receipt

    async def start_by_hand(
        self, workflow: str, *, data: Json = None, params: Mapping[str, Json] | None = None, id: str = "",
        kind: str = "cli",
    ) -> Started:  # fmt: skip
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
            raise InvalidValue(f"{len(encoded)} bytes of data are more than the limit of {self.max_bytes}")
        if len(id) > MAX_ID:
            raise InvalidValue(f"the id is longer than {MAX_ID} characters")
        now = self._store.clock.now()
        execution = new_execution_id(now)
        row = ExecutionRow(
            id=execution,
            workflow=workflow,
            version=active.version,
            status=ExecutionState.QUEUED,
            root=execution,
            trigger=_encode(_Trigger(kind, "", {}, id, format_time(now), msgspec.Raw(encoded))),
            params=encoded_params,
            created_at=now,
        )
        plan = _Plan()
        plan.starts.append(_Start(row, BY_HAND if id else "", id))
        [receipt] = await self._commit([plan])
        [known] = receipt.executions
        duplicate = receipt.fate is Fate.DUPLICATE
        first = await self._store.read(lambda db: executions.get(db, known)) if duplicate else None
        return Started(known, first.version if first else active.version, duplicate)

    # --- from a message to a plan -----------------------------------------------------------------------------------

    async def _take(
        self, messages: Sequence[Message], also: Callable[[Transaction], None] | None = None
    ) -> list[Receipt]:
        now = self._store.clock.now()
        return await self._commit([self._plan(message, now) for message in messages], also)

    def _plan(self, message: Message, now: int) -> _Plan:
        plan = _Plan(message)
        try:
            headers = _checked_headers(message.headers) if message.headers else {}
            _check_text(message.subject, "the subject")
            matches = self.routes.find(message)
            if matches:
                self._read(plan, message, headers, matches, now)
        except (InvalidValue, Undeliverable) as error:
            self._bury(plan, message, "_", str(error))
        except Exception as error:
            # Met again at each delivery, such a message would stop the intake for good.
            _log.exception("a message on %s can't be taken in: this is a bug", message.subject)
            self._bury(plan, message, "_", f"a bug: {type(error).__name__}: {error}; please report it")
        return plan

    def _read(
        self, plan: _Plan, message: Message, headers: Mapping[str, str], matches: tuple[Match, ...], now: int
    ) -> None:
        hops, cause = _hops(headers), headers.get("ganglion-cause", "")
        read: dict[BodyFormat, tuple[str, str, bytes] | InvalidValue] = {}
        unread: dict[BodyFormat, list[str]] = {}
        for match in matches:
            active, reading = match.active, match.trigger.format
            if reading not in read:
                try:
                    read[reading] = _trigger(plan, message, headers, reading, self.max_bytes)
                except InvalidValue as error:
                    read[reading] = error
            outcome = read[reading]
            if isinstance(outcome, InvalidValue):
                unread.setdefault(reading, []).append(active.name)
                continue
            scope, message_id, trigger = outcome
            execution = new_execution_id(now)
            row = ExecutionRow(
                id=execution,
                workflow=active.name,
                version=active.version,
                status=ExecutionState.QUEUED,
                root=execution,
                cause=cause,
                hops=hops,
                trigger=trigger,
                created_at=now,
            )
            plan.starts.append(_Start(row, scope, message_id))
        for reading, names in unread.items():  # one letter for all who read it the same way
            self._bury(plan, message, names[0] if len(names) == 1 else "_", str(read[reading]))

    def _bury(self, plan: _Plan, message: Message, workflow: str, reason: str) -> None:
        kept: dict[str, str] = {}
        room = MAX_HEADERS
        for name, value in message.headers.items():
            room -= len(name) + len(value)
            if room < 0:
                break
            kept[_plain(name)] = _plain(value)
        plan.letters.append(
            DeadLetter(
                origin="intake",
                workflow=workflow,
                subject=_plain(message.subject),
                reason=_plain(reason),
                headers=kept,
                body=message.body,
                size=len(message.body),
                received_at=message.received_at,
            )
        )

    # --- from plans to receipts -------------------------------------------------------------------------------------

    async def _commit(self, plans: list[_Plan], also: Callable[[Transaction], None] | None = None) -> list[Receipt]:
        if also is None and not any(plan.starts or plan.letters for plan in plans):
            self.counters[Fate.UNMATCHED] += len(plans)
            return [Receipt(Fate.UNMATCHED) for _ in plans]

        def unit(tx: Transaction) -> tuple[list[Receipt], list[ExecutionRow]]:
            new: list[ExecutionRow] = []
            receipts = [_settle(tx, plan, new) for plan in plans]
            if also is not None:
                also(tx)
            crash_point("inbox-after-insert")
            return receipts, new

        committed = self._store.submit(unit, patient=False)
        # A callback, so that what is committed also runs when our caller is cancelled in the meantime.
        committed.add_done_callback(self._committed)
        receipts, _ = await asyncio.shield(committed)
        return receipts

    def _committed(self, committed: asyncio.Future[tuple[list[Receipt], list[ExecutionRow]]]) -> None:
        if committed.cancelled() or committed.exception() is not None:
            return
        crash_point("intake-after-commit")
        receipts, new = committed.result()
        for receipt in receipts:
            self.counters[receipt.fate] += 1
        if new:
            self.admission.admit(new)


def _settle(tx: Transaction, plan: _Plan, new: list[ExecutionRow]) -> Receipt:
    """One message inside the transaction."""
    ids: list[str] = []
    fate = Fate.DEAD if plan.letters else Fate.UNMATCHED
    for start in plan.starts:
        row = start.row
        known = start.scope and inbox.claim(
            tx, workflow=row.workflow, scope=start.scope, id=start.id, execution=row.id, now=row.created_at
        )
        if not known:
            executions.create(tx, row)
            new.append(row)
            fate = Fate.ACCEPTED
        elif fate is not Fate.ACCEPTED:
            fate = Fate.DUPLICATE
        ids.append(known or row.id)
    for letter in plan.letters:
        # Delivered once more, because its acknowledgement was lost, it is not buried once more.
        if not plan.position or not inbox.claim(
            tx, workflow=f"_{letter.workflow}", scope=plan.position, id=plan.sequence, execution="dead letter",
            now=letter.received_at,
        ):  # fmt: skip
            deadletters.bury(tx, letter)
    return Receipt(fate, tuple(ids), "; ".join(letter.reason for letter in plan.letters))


def _trigger(
    plan: _Plan, message: Message, headers: Mapping[str, str], format: BodyFormat, max_bytes: int
) -> tuple[str, str, bytes]:
    """The message's scope and id for the inbox, and `trigger` as JSON. Raises InvalidValue."""
    body = read_body(message.body, headers, format, max_bytes=max_bytes)
    shown = dict(message.headers)
    scope, message_id = plan.position, plan.sequence
    if body.event_id:
        scope, message_id = f"event {body.event_source}", body.event_id
        shown = {name: text for name, text in shown.items() if name.lower() not in body.attributes}
        shown.update(body.attributes)
    elif producers_id := headers.get("nats-msg-id"):
        scope, message_id = message.subject, producers_id
    trigger = _Trigger("nats", message.subject, shown, message_id, format_time(message.received_at), body.data)
    return scope, message_id, _encode(trigger)


def _checked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers with names in lower case. Raises InvalidValue for what is too much, or not text."""
    length = 0
    lower: dict[str, str] = {}
    for name, value in headers.items():
        length += len(name) + len(value)
        if length > MAX_HEADERS:
            raise InvalidValue(f"the headers have more than {MAX_HEADERS} characters")
        _check_text(value, f"the header {name!r}")
        _check_text(name, "the name of a header")
        lower[name.lower()] = value
    for name in ("nats-msg-id", "ganglion-cause"):
        if len(lower.get(name, "")) > MAX_ID:
            raise InvalidValue(f"the header {name} is longer than {MAX_ID} characters")
    return lower


def _hops(headers: Mapping[str, str]) -> int:
    text = headers.get("ganglion-hops", "0")
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise InvalidValue(f"the header Ganglion-Hops is not a number: {text[:40]!r}")
    hops = int(text)
    if hops > MAX_HOPS:
        raise InvalidValue(
            f"{hops} executions caused each other in a row, and {MAX_HOPS} are allowed: some workflow starts itself "
            f"(the last was {headers.get('ganglion-cause', 'unknown')}); see what its publish nodes send, and where to"
        )
    return hops


def _check_text(text: str, what: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidValue(f"{what} is not UTF-8 text") from None


def _plain(text: str) -> str:
    """Text that can be stored, whatever came over the wire."""
    return text.encode(errors="replace").decode()

"""What one message asks of the commit that takes it in: executions to start, waits to answer, dead letters to bury."""

import msgspec

from engine.crash import crash_point
from engine.definition.flow import Flow
from engine.flow.door import HELD_SECONDS
from engine.flow.entrance import Entrance, Verdict
from engine.store import Transaction, deadletters, executions, inbox, kept, waits
from engine.store.deadletters import DeadLetter
from engine.store.executions import ExecutionRow
from engine.triggers.envelope import bounded_headers, plain
from engine.triggers.message import Fate, Message, Receipt

__all__ = ["Start", "Ticket"]


class Start(msgspec.Struct):
    """One execution to start. Its claim in the inbox is (workflow, scope, id); without a scope it makes none."""

    row: ExecutionRow
    scope: str
    id: str
    flow: Flow | None = None
    """What its workflow says of the queue; None without a flow."""
    closed: bool = False
    """The queue was full, and has not come down to its low mark."""
    retry_seconds: float = 0.0
    """When to let the message come again, if it has to stay outside."""


class Reply(msgspec.Struct):
    """What a message tells those that wait for it. Its claim is made as that of a start, under the name of the ear."""

    workflow: str
    ear: str
    key: str
    body: bytes
    keep_seconds: float
    """How long it is kept if nobody waits for it yet."""
    scope: str
    id: str
    now: int


class Ticket:
    """Filled before the commit; `settle` runs inside it, perhaps twice."""

    __slots__ = ("by_hand", "letters", "position", "replies", "sequence", "starts", "subject", "unclaimed")

    def __init__(self, message: Message | None = None) -> None:
        self.by_hand = message is None
        self.subject = "" if message is None else message.subject
        self.position, self.sequence = "", ""
        """By what a message without an id is known: a stream delivers a sequence again until it is acknowledged, and,
        made anew, starts from one again."""
        if message is not None and message.sequence > 0:
            self.position = f"stream {message.stream} {message.stream_created}"
            self.sequence = str(message.sequence)
        self.starts: list[Start] = []
        self.replies: list[Reply] = []
        self.letters: list[DeadLetter] = []
        self.unclaimed = Receipt(Fate.UNMATCHED)
        """What is told of the message if it asks for nothing."""

    @property
    def is_empty(self) -> bool:
        return not (self.starts or self.replies or self.letters)

    def bury(self, message: Message, reason: str, *, workflow: str = "_") -> None:
        """Ask for a dead letter; `_` stands for no workflow in particular."""
        self.letters.append(
            DeadLetter(
                origin="intake",
                workflow=workflow,
                subject=plain(message.subject),
                reason=plain(reason),
                headers=bounded_headers(message.headers),
                body=message.body,
                size=len(message.body),
                received_at=message.received_at,
            )
        )

    def settle(self, tx: Transaction, new: list[ExecutionRow], entrance: Entrance) -> Receipt:
        """Write it all; rows of new executions are added to `new`."""
        ids: list[str] = []
        held: list[Start] = []
        fate = Fate.DEAD if self.letters else Fate.UNMATCHED
        for start in self.starts:
            row, flow = start.row, start.flow
            verdict = self._judge(tx, start, entrance)
            if verdict is Verdict.HELD:
                held.append(start)
                continue
            known = start.scope and inbox.claim(
                tx, workflow=row.workflow, scope=start.scope, id=start.id, execution=row.id, now=row.created_at
            )
            if known:
                fate = fate if fate in (Fate.ACCEPTED, Fate.DROPPED) else Fate.DUPLICATE
            elif flow is not None and verdict is Verdict.DROPPED:
                entrance.drop(row, flow, self.subject, start.id)
                fate = fate if fate is Fate.ACCEPTED else Fate.DROPPED
                continue
            else:
                if flow is None:
                    executions.create(tx, row)
                else:
                    entrance.enter(row, flow)
                new.append(row)
                fate = Fate.ACCEPTED
            ids.append(known or row.id)
        for reply in self.replies:
            fate = _better(fate, _tell(tx, reply))
        for letter in self.letters:
            if not self._is_buried(tx, letter):
                deadletters.bury(tx, letter)
        if held:
            return _held(held, ids)
        if self.is_empty:
            return self.unclaimed
        return Receipt(fate, tuple(ids), "; ".join(letter.reason for letter in self.letters))

    def _judge(self, tx: Transaction, start: Start, entrance: Entrance) -> Verdict:
        """A message that came before is no newcomer, however full the queue is."""
        flow = start.flow
        if flow is None or flow.queue is None:
            return Verdict.ENTERS
        if start.scope and inbox.known(tx.db, workflow=start.row.workflow, scope=start.scope, id=start.id):
            return Verdict.ENTERS
        return entrance.judge(start.row, flow, closed=start.closed, by_hand=self.by_hand)

    def _is_buried(self, tx: Transaction, letter: DeadLetter) -> bool:
        """The message came before, and its acknowledgement was lost."""
        if not self.position:
            return False
        workflow = f"_{letter.workflow}"  # no workflow has such a name
        return bool(
            inbox.claim(
                tx, workflow=workflow, scope=self.position, id=self.sequence, execution="dead letter",
                now=letter.received_at,
            )
        )  # fmt: skip


def _tell(tx: Transaction, reply: Reply) -> Fate:
    """Answer all that wait now; if none does, keep it for the first that will."""
    if reply.scope and inbox.claim(
        tx, workflow=reply.ear, scope=reply.scope, id=reply.id, execution="a wait", now=reply.now
    ):
        return Fate.DUPLICATE
    if waits.answer(tx, waits.MESSAGE, reply.key, reply.body, reply.now):
        return Fate.ACCEPTED
    if reply.keep_seconds <= 0:
        return Fate.UNMATCHED
    kept.keep(tx, workflow=reply.workflow, key=reply.key, body=reply.body, now=reply.now, seconds=reply.keep_seconds)
    crash_point("message-kept")
    return Fate.ACCEPTED


def _better(fate: Fate, other: Fate) -> Fate:
    """What is told of a message of which both are true."""
    if Fate.ACCEPTED in (fate, other):
        return Fate.ACCEPTED
    return other if fate is Fate.UNMATCHED else fate


def _held(held: list[Start], ids: list[str]) -> Receipt:
    names = ", ".join(start.row.workflow for start in held)
    return Receipt(
        Fate.HELD,
        tuple(ids),
        f"the queue of {names} is full",
        max(start.retry_seconds for start in held) or HELD_SECONDS,
    )

"""What one message asks of the commit that takes it in: executions to start, dead letters to bury."""

import msgspec

from engine.store import Transaction, deadletters, executions, inbox
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


class Ticket:
    """Filled before the commit; `settle` runs inside it, perhaps twice."""

    __slots__ = ("letters", "position", "sequence", "starts")

    def __init__(self, message: Message | None = None) -> None:
        self.position, self.sequence = "", ""
        """By what a message without an id is known: a stream delivers a sequence again until it is acknowledged, and,
        made anew, starts from one again."""
        if message is not None and message.sequence > 0:
            self.position = f"stream {message.stream} {message.stream_created}"
            self.sequence = str(message.sequence)
        self.starts: list[Start] = []
        self.letters: list[DeadLetter] = []

    @property
    def is_empty(self) -> bool:
        return not (self.starts or self.letters)

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

    def settle(self, tx: Transaction, new: list[ExecutionRow]) -> Receipt:
        """Write it all; rows of new executions are added to `new`."""
        ids: list[str] = []
        fate = Fate.DEAD if self.letters else Fate.UNMATCHED
        for start in self.starts:
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
        for letter in self.letters:
            if not self._is_buried(tx, letter):
                deadletters.bury(tx, letter)
        return Receipt(fate, tuple(ids), "; ".join(letter.reason for letter in self.letters))

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

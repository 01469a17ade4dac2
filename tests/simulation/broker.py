"""A stream and its consumer, as bad as a network may be: what is published is kept, and comes when it comes.

Like JetStream: a message is delivered until an acknowledgement arrives. Deliveries get lost, come late, twice and in
any order; so do acknowledgements get lost, and publishers publish again what was not confirmed to them.
"""

import random
from collections import Counter
from typing import TypeAlias

import msgspec

from engine.triggers.message import Message

STREAM = "S"
CREATED = "2026-01-01"


Delivery: TypeAlias = tuple[int, int, Message]
"""Sequence in the stream, number of the message, the message."""


class _Kept(msgspec.Struct):
    sequence: int
    n: int
    subject: str
    headers: dict[str, str]
    due: float
    """When it is delivered (again)."""
    deliveries: int = 0


class Badness(msgspec.Struct, frozen=True):
    """Probabilities of what may befall a message; ACK_WAIT in seconds."""

    drop: float = 0.0
    duplicate: float = 0.0
    delay: float = 0.0
    lose_ack: float = 0.0
    publish_again: float = 0.0
    ack_wait: float = 5.0


class Broker:
    """Lives outside of the processes that fetch from it."""

    def __init__(self, dice: random.Random, badness: Badness) -> None:
        self._dice = dice
        self._bad = badness
        self._stream: dict[int, _Kept] = {}
        self._last = 0
        self.published: dict[int, str] = {}
        """Subject by message number."""
        self.acknowledged: dict[int, tuple[str, ...]] = {}
        """Executions by message number, as told to the acknowledging side."""
        self.hits: Counter[str] = Counter()

    def publish(self, n: int, subject: str, at: float, *, named: bool) -> None:
        """A publisher publishes it, under an id of its own or without one, where only the sequence tells it apart."""
        self.published[n] = subject
        self._keep(n, subject, at, named=named)
        while named and self._dice.random() < self._bad.publish_again:
            self.hits["published again"] += 1
            at += self._dice.expovariate(0.2)
            self._keep(n, subject, at, named=named)

    def _keep(self, n: int, subject: str, at: float, *, named: bool) -> None:
        self._last += 1
        headers = {"Nats-Msg-Id": f"id-{n}"} if named else {}
        self._stream[self._last] = _Kept(self._last, n, subject, headers, at)

    @property
    def is_empty(self) -> bool:
        return not self._stream

    def next_due(self) -> float | None:
        """When the next delivery is; None when all is acknowledged."""
        return min((kept.due for kept in self._stream.values()), default=None)

    def fetch(self, limit: int, seconds: float, now: int) -> list[Delivery]:
        """At most `limit` messages that are due, duplicates beside them."""
        dice, bad = self._dice, self._bad
        due = [kept for kept in self._stream.values() if kept.due <= seconds]
        dice.shuffle(due)
        found = []
        for kept in due[:limit]:
            kept.deliveries += 1
            if kept.deliveries > 1:
                self.hits["redelivered"] += 1
            kept.due = seconds + bad.ack_wait
            if dice.random() < bad.drop:
                self.hits["dropped"] += 1
                continue
            if dice.random() < bad.delay:
                self.hits["delayed"] += 1
                kept.due = seconds + dice.expovariate(1.0)
                continue
            message = Message(
                subject=kept.subject, body=b'{"n": %d}' % kept.n, headers=kept.headers, received_at=now, stream=STREAM,
                stream_created=CREATED, sequence=kept.sequence,
            )  # fmt: skip
            found.append((kept.sequence, kept.n, message))
            if dice.random() < bad.duplicate:
                self.hits["duplicated"] += 1
                found.append(found[-1])
        return found

    def forget(self, sequence: int) -> None:
        """An acknowledgement arrived."""
        self._stream.pop(sequence, None)

    def acknowledge(self, sequence: int, n: int, executions: tuple[str, ...]) -> None:
        """The consumer's word that it has it. It may not arrive."""
        self.acknowledged[n] = executions
        if self._dice.random() < self._bad.lose_ack:
            self.hits["ack lost"] += 1
        else:
            self.forget(sequence)

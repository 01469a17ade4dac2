"""Messages that nodes published: in order for each subject, and never in the way of each other.

What a stream captures is acknowledged by it. What none captures is sent plainly and counts as sent, as NATS has it.
What can never be sent becomes a dead letter. A subject whose stream does not take a message now is tried again later,
and holds up nothing else.
"""

import asyncio
import logging
from collections.abc import Iterator

import msgspec
import nats.errors

from engine.crash import crash_point
from engine.signal import Signal
from engine.store.outbox import Outbox, Publication
from mesh.connection import Link
from mesh.jetstream import stream_info, streams_of
from mesh.relay.pipeline import Outgoing, Pipeline, Refusal, Stored
from mesh.wire import check_headers, check_outgoing, headers_size

_logger = logging.getLogger("ganglion.mesh")
PAGE = 256
GATHER_SECONDS = 0.005
"""Each commit may bring publications, and each look at the file costs a hop to another thread: not one for each."""
AGAIN_SECONDS = 1.0
"""When a subject that could not be sent to is tried again."""
KNOWN_SECONDS = 30.0
"""How long it is remembered which stream captures a subject."""
MAX_KNOWN = 4096
TOO_LARGE = 10054
"""JetStream: message size exceeds maximum allowed."""


class _Target(msgspec.Struct, frozen=True):
    """Where a subject leads."""

    is_captured: bool
    one_at_a_time: bool
    """Its stream refuses when it is full: a second message must not slip in where the first was refused."""
    until: float


class PublicationLane:
    """Sends the outbox's second lane."""

    def __init__(self, outbox: Outbox) -> None:
        self.signal = Signal()
        """There may be new publications."""
        self.is_empty = asyncio.Event()
        """Nothing waited when it last looked."""
        self._outbox = outbox
        self._targets: dict[str, _Target] = {}
        self._told: set[str] = set()
        """Subjects that were said to wait."""

    async def work(self, link: Link) -> None:
        """Send until cancelled. Raises one of connection.LOST to begin again."""
        self._targets.clear()
        async with Pipeline.open(link) as pipeline:
            while True:
                held = await self._sweep(link, pipeline)
                if held is None:
                    self.is_empty.set()
                    await self.signal.wait()
                    await asyncio.sleep(GATHER_SECONDS)
                elif held:
                    await self.signal.wait(AGAIN_SECONDS)

    async def _sweep(self, link: Link, pipeline: Pipeline) -> set[str] | None:
        """Send everything that waits. Returns the subjects that have to be tried again; None if nothing waited."""
        held: set[str] = set()
        after, seen = 0, False
        while page := await self._outbox.publications(after, PAGE):
            seen = True
            self.is_empty.clear()
            after = page[-1].id
            await self._send_page(link, pipeline, page, held)
        return held if seen else None

    async def _send_page(self, link: Link, pipeline: Pipeline, page: list[Publication], held: set[str]) -> None:
        fit: list[Publication] = []
        for publication in page:
            reason = _unfit(publication, link.nc.max_payload)
            if reason:
                await self._refuse(publication, reason)
            else:
                fit.append(publication)
        targets = {publication.subject: await self._target(link, publication.subject) for publication in fit}
        for batch in _rounds(fit, targets):
            wanted = [publication for publication in batch if publication.subject not in held]
            if wanted:
                await self._send(link, pipeline, wanted, targets, held)

    async def _send(
        self, link: Link, pipeline: Pipeline, batch: list[Publication], targets: dict[str, _Target], held: set[str]
    ) -> None:
        plain = [publication for publication in batch if not targets[publication.subject].is_captured]
        captured = [publication for publication in batch if targets[publication.subject].is_captured]
        for publication in plain:
            await link.nc.publish(publication.subject, publication.body, headers=_headers(publication))
        sent = [publication.id for publication in plain]
        answers = await pipeline.send([Outgoing(p.subject, p.body, _headers(p)) for p in captured])
        if plain:
            await link.nc.flush()
        for publication, answer in zip(captured, answers, strict=True):
            if isinstance(answer, Stored):
                sent.append(publication.id)
                self._told.discard(publication.subject)
            elif isinstance(answer, Refusal) and answer.err_code == TOO_LARGE:
                await self._refuse(publication, f"its stream takes no message of this size: {answer.description}")
            else:
                if publication.subject not in self._told:
                    self._told.add(publication.subject)
                    reason = answer.description if isinstance(answer, Refusal) else "no answer"
                    _logger.warning("a message to %s waits: %s", publication.subject, reason)
                held.add(publication.subject)
                self._targets.pop(publication.subject, None)
        crash_point("publication-after-publish-before-mark")
        if sent:
            await self._outbox.published(sent)

    async def _refuse(self, publication: Publication, reason: str) -> None:
        _logger.warning(
            "a message of %s to %s is a dead letter: %s", publication.execution, publication.subject, reason
        )
        await self._outbox.refuse(publication, reason)

    async def _target(self, link: Link, subject: str) -> _Target:
        """Which way a subject goes. Asked of the server, because a plain subscriber hides that no stream answers."""
        now = asyncio.get_running_loop().time()
        known = self._targets.get(subject)
        if known is None or known.until < now:
            if len(self._targets) >= MAX_KNOWN:
                self._targets.clear()
            known = self._targets[subject] = await _look_up(link, subject, now + KNOWN_SECONDS)
        return known


async def _look_up(link: Link, subject: str, until: float) -> _Target:
    try:
        names = await streams_of(link.nc, subject)
    except nats.errors.NoRespondersError:  # a server without JetStream
        return _Target(False, False, until)
    if not names:
        return _Target(False, False, until)
    infos = [await stream_info(link.nc, name) for name in names]
    refuses = any(info is not None and info.config.get("discard") == "new" for info in infos)
    return _Target(True, refuses, until)


def _rounds(page: list[Publication], targets: dict[str, _Target]) -> Iterator[list[Publication]]:
    """The page in batches, in order for each subject; one of each subject that goes one at a time."""
    while page:
        batch: list[Publication] = []
        later: list[Publication] = []
        single: set[str] = set()
        for publication in page:
            if publication.subject in single:
                later.append(publication)
                continue
            if targets[publication.subject].one_at_a_time:
                single.add(publication.subject)
            batch.append(publication)
        yield batch
        page = later


def _headers(publication: Publication) -> dict[str, str]:
    """Its own headers, and an id that stays the same however often it is sent."""
    stable = f"{publication.execution}/{publication.path}/{publication.id}"
    return {"Nats-Msg-Id": stable, **publication.headers}


def _unfit(publication: Publication, max_payload: int) -> str:
    """Why it can never be sent; empty if it can."""
    try:
        check_outgoing(publication.subject)
        check_headers(publication.headers)
    except ValueError as error:
        return str(error)
    size = len(publication.body) + headers_size(_headers(publication))
    if size > max_payload:
        return f"{size} bytes are more than the {max_payload} that the server takes in one message"
    return ""

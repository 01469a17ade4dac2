"""A sensor's program: a plain NATS client that knows nothing of us, and believes only acknowledgements."""

import asyncio
import json
from collections.abc import Iterable

from tests.faults.client import LOST, Client
from tests.faults.patience import until

WINDOW = 32
"""Messages that may wait for their acknowledgement at the same time."""


class Publisher:
    """Publishes into JetStream, again under the same id until it is acknowledged."""

    def __init__(self, url: str) -> None:
        self.client = Client(url)
        self.acked: set[int] = set()
        """Messages whose acknowledgement came."""
        self.stored: list[tuple[str, int]] = []
        """Stream and sequence of each acknowledgement."""
        self.refused = 0
        """Attempts without an acknowledgement."""
        self._window = asyncio.Semaphore(WINDOW)

    async def send(self, subject: str, messages: Iterable[int], **fields: object) -> None:
        """Publish `<subject>.<message>` for each, and wait until all are acknowledged."""
        await asyncio.gather(*(self._send(f"{subject}.{message}", message, fields) for message in messages))

    async def _send(self, subject: str, message: int, fields: dict[str, object]) -> None:
        body = json.dumps({"message": message, **fields}).encode()
        async with self._window:
            await until(lambda: self.once(subject, body, id=str(message)), seconds=600)
        self.acked.add(message)

    async def once(self, subject: str, body: bytes, *, id: str = "") -> bool:
        """One attempt; whether it was acknowledged."""
        try:
            stream = (await self.client.connected()).jetstream(timeout=1)
            answer = await stream.publish(subject, body, headers={"Nats-Msg-Id": id} if id else None)
        except LOST:
            self.refused += 1
            return False
        self.stored.append((answer.stream, answer.seq))
        return True

"""A plain NATS client, for whoever is not the agent: one that connects when it is needed, and again when it broke."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import nats.errors
from nats.aio.client import Client as NatsClient

LOST = (nats.errors.Error, OSError, TimeoutError)
"""What is raised while nobody is there."""


class Client:
    """Connects with what `login` returns, which may not be known before the server has run."""

    def __init__(self, url: str, login: Callable[[], dict[str, Any]] = dict) -> None:
        self._url = url
        self._login = login
        self._client: NatsClient | None = None
        self._connecting = asyncio.Lock()

    async def connected(self) -> NatsClient:
        """Raises one of LOST."""
        async with self._connecting:
            if self._client is None or not self._client.is_connected:
                await self.close()
                self._client = NatsClient()
                await _bounded(
                    self._client.connect(
                        self._url,
                        allow_reconnect=False,
                        reconnect_time_wait=0,
                        connect_timeout=1,
                        error_cb=_ignore,
                        **self._login(),
                    ),
                    seconds=2,
                )
            return self._client

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            with suppress(*LOST):
                await _bounded(client.close(), seconds=0.2)
            if client._transport:
                client._transport.close()


async def _bounded(work: Coroutine[Any, Any, None], *, seconds: float) -> None:
    """Against a server that is killed meanwhile the library may wait for ever, and swallow what cancels it."""
    task = asyncio.create_task(work)
    await asyncio.wait({task}, timeout=seconds)
    if not task.done():
        task.cancel()
        raise TimeoutError
    task.result()


async def _ignore(_: Exception) -> None:
    """What went wrong is raised by the call that it concerns."""

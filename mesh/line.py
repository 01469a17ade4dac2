"""A command's connection: like a telephone line it may break in the middle of a question, and be had once more."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import nats.errors
from nats.aio.msg import Msg

from mesh.address import servers_of, shown
from mesh.credentials import Credentials, Tls
from mesh.errors import AgentUnreachable, LinkBroken
from mesh.nats_client import LOST, AnySubjectClient, NotAllowed, connect, retire

LOCAL_API = "$JS.API"


class Line:
    """One client at a time. Opened by `Line.open`."""

    def __init__(self, url: str, credentials: Credentials, tls: Tls | None, api: str) -> None:
        self._servers = servers_of(url)
        self._credentials = credentials
        self._tls = tls
        self._api = api
        self._renewing = asyncio.Lock()
        self._lost = asyncio.Event()
        self.nc = AnySubjectClient()
        self.url = ", ".join(shown(server) for server in self._servers)

    @classmethod
    @asynccontextmanager
    async def open(
        cls, url: str, credentials: Credentials | None = None, tls: Tls | None = None, *, api: str = LOCAL_API
    ) -> "AsyncIterator[Line]":
        """Connected within the block. `api`: where JetStream is asked. Raises AgentUnreachable, InvalidAccess."""
        who = credentials or Credentials()
        who.check()
        line = cls(url, who, tls, api)
        try:
            await line._connect()
            yield line
        finally:
            await retire(line.nc)

    async def request(self, subject: str, body: bytes, seconds: float) -> Msg:
        """One question. Raises LinkBroken, nats.errors.NoRespondersError and TimeoutError, and ValueError."""
        if not self.nc.is_connected:
            raise LinkBroken(f"the connection to {self.url} broke")
        asking = asyncio.ensure_future(self.nc.question(subject, body, seconds=seconds))
        lost = asyncio.ensure_future(self._lost.wait())  # the library lets a request wait for an answer even then
        try:
            await asyncio.wait({asking, lost}, return_when=asyncio.FIRST_COMPLETED)
            if not asking.done():
                raise LinkBroken(f"the connection to {self.url} broke before the answer came")
            return asking.result()
        except nats.errors.NoRespondersError:
            raise
        except NotAllowed as error:
            raise AgentUnreachable(str(error)) from None
        except (nats.errors.TimeoutError, TimeoutError):
            raise TimeoutError from None
        except LOST as error:
            raise LinkBroken(f"the connection to {self.url} broke: {error or type(error).__name__}") from None
        finally:
            asking.cancel()
            lost.cancel()

    async def renew(self) -> None:
        """Connect again, if nobody has done so since it broke. Raises AgentUnreachable."""
        async with self._renewing:
            if self.nc.is_connected:
                return
            await retire(self.nc)
            self.nc = AnySubjectClient()
            await self._connect()

    async def _connect(self) -> None:
        problem: Exception | None = None
        for server in self._servers:
            lost = self._lost = asyncio.Event()

            async def closed(lost: asyncio.Event = lost) -> None:
                lost.set()

            try:
                await connect(
                    self.nc, [server], self._credentials, self._tls, name="ganglion command", on_error=_ignore,
                    on_close=closed,
                )  # fmt: skip
            except LOST as error:
                problem = error
                await retire(self.nc)
                self.nc = AnySubjectClient()
            else:
                self.nc.api = self._api
                return
        raise AgentUnreachable(f"no NATS server answers at {self.url} ({problem or type(problem).__name__})")


async def _ignore(error: Exception) -> None:
    """What went wrong is raised by the call that it concerns."""

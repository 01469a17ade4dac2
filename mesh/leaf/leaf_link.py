"""The leaf link as the connection beyond it sees it: there, gone, or made anew. Implements `connection.Beyond`."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import nats.errors

from mesh.address import shown
from mesh.nats_client import AnySubjectClient, connect, retire
from mesh.server import EmbeddedServer, Hub

_logger = logging.getLogger("ganglion.mesh")
PROBE_SECONDS = 5.0
"""How often the hub is asked through the link."""
ANSWER_SECONDS = 3.0
TRIES = 2
"""Questions without an answer after which the link counts as silent."""


class HubAbsent(nats.errors.Error):
    """The hub can't be reached now, or is not the one that it was a moment ago: begin again."""


class _Leaf(msgspec.Struct, frozen=True):
    id: int
    account: str = ""


class _Leafs(msgspec.Struct, frozen=True):
    leafs: list[_Leaf] | None = None


class _Server(msgspec.Struct, frozen=True):
    id: str


class _Answer(msgspec.Struct, frozen=True):
    server: _Server
    data: _Leafs = _Leafs()


class LeafLink:
    """Watches the link of one embedded server to its hub. Made by `LeafLink.open`."""

    def __init__(self, server: EmbeddedServer, hub: Hub, *, seconds: float = PROBE_SECONDS) -> None:
        self._server = server
        self._hub = hub
        self._client: AnySubjectClient | None = None
        self._known = 0
        self.name = f"the hub {shown(hub.url)}"
        self.api = hub.api
        self.seconds = seconds
        self.cuts = 0
        """Links that were silent, and cut."""

    @classmethod
    @asynccontextmanager
    async def open(
        cls, server: EmbeddedServer, hub: Hub, *, seconds: float = PROBE_SECONDS
    ) -> "AsyncIterator[LeafLink]":
        """Within the block the link can be probed."""
        link = cls(server, hub, seconds=seconds)
        try:
            yield link
        finally:
            if link._client is not None:
                await retire(link._client)

    async def probe(self, client: AnySubjectClient, *, first: bool) -> None:
        """Returns if the hub answers, over the same link as at the `first` probe. Raises one of LOST."""
        answer = await self._ask("PING.LEAFZ", b"")
        leafs = [leaf for leaf in answer.data.leafs or () if leaf.account == "UPLINK"]
        if not leafs:
            raise HubAbsent("there is no leaf link: nats-server tries to make one")
        leaf = leafs[0].id
        if not first and leaf != self._known:
            raise HubAbsent("the leaf link was made anew")
        self._known = leaf
        for _ in range(TRIES):
            try:
                await client.request(f"{self.api}.INFO", b"", timeout=ANSWER_SECONDS)
            except nats.errors.NoRespondersError:
                raise HubAbsent(
                    f"nobody serves JetStream's domain {self._hub.domain} there: the hub's nats-server needs "
                    f"jetstream {{domain: {self._hub.domain}}}, or name its domain in [mesh] hub_domain"
                ) from None
            except (nats.errors.TimeoutError, TimeoutError):
                continue
            else:
                return
        await self._cut(answer.server.id, leaf)
        raise HubAbsent(f"the leaf link was silent for {TRIES * ANSWER_SECONDS:g} s and has been cut")

    async def _cut(self, server: str, leaf: int) -> None:
        _logger.warning("the leaf link to %s is silent: it is cut, and made anew", self.name)
        self.cuts += 1
        await self._ask(f"{server}.KICK", msgspec.json.encode({"cid": leaf}))

    async def _ask(self, what: str, body: bytes) -> _Answer:
        """Ask the embedded server about itself. Raises one of LOST."""
        if self._client is None or not self._client.is_connected:
            if self._client is not None:
                await retire(self._client)
            self._client = AnySubjectClient()
            await connect(
                self._client, [self._server.url], self._server.system, None, name="leaf link", on_error=_ignore
            )
        reply = await self._client.request(f"$SYS.REQ.SERVER.{what}", body, timeout=ANSWER_SECONDS)
        try:
            return msgspec.json.decode(reply.data, type=_Answer)
        except msgspec.DecodeError as error:
            raise HubAbsent(f"the embedded server says something else about its leaf link: {error}") from None


async def _ignore(error: Exception) -> None:
    """What went wrong is raised by the question that it concerns."""

"""The embedded server gets into a guarded hub by every way that there is, and goes on when its credentials change."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from mesh.connection import Connection
from mesh.credentials import Credentials, Tls
from mesh.errors import InvalidAccess
from mesh.leaf import LeafLink
from mesh.server import EmbeddedServer, Hub, Settings
from tests.guarded_hub import PASSWORD, Certificates, GuardedHub
from tests.guarded_hub import ways as all_ways

pytestmark = pytest.mark.nats
Settle = Callable[..., Settings]


@asynccontextmanager
async def edge(
    hub: GuardedHub, settings: Settle, data_dir: Path, credentials: Credentials, tls: Tls | None = None, url: str = ""
) -> AsyncIterator[tuple[EmbeddedServer, Connection, Connection]]:
    """An embedded server that leads to the hub: (server, its own connection, the one beyond)."""
    remote = Hub(url=url or hub.leaf_url, domain=hub.domain, credentials=credentials, tls=tls)
    async with (
        EmbeddedServer.open(settings(data_dir, hub=remote)) as server,
        LeafLink.open(server, remote, seconds=0.05) as link,
        asyncio.TaskGroup() as tasks,
    ):
        own = Connection([server.url], credentials=server.credentials)
        beyond = Connection([server.url], credentials=server.uplink, beyond=link)
        running = [tasks.create_task(connection.run()) for connection in (own, beyond)]
        try:
            yield server, own, beyond
        finally:
            for task in running:
                task.cancel()


async def until_link(connection: Connection, number: int) -> None:
    async with asyncio.timeout(15):
        while (link := await connection.link()).number < number:
            await link.lost.wait()


@pytest.mark.parametrize("kind", ["user", "password_file", "token", "token_file", "nkey", "creds"])
@pytest.mark.parametrize("secure", [False, True])
async def test_the_hub_lets_in_who_proves_it_and_nothing_secret_is_said(
    guarded: Callable[..., Any], settings: Settle, ways: Any, certificates: Certificates, kind: str, secure: bool,
    tmp_path: Path, log: Any,
) -> None:  # fmt: skip
    way, tls = ways[kind], Tls(ca=str(certificates.ca)) if secure else None
    async with guarded(way.auth, tls=certificates.server() if secure else "") as hub:
        async with edge(hub, settings, tmp_path / "edge", way.credentials, tls) as (server, _, beyond):
            await asyncio.wait_for(beyond.link(), 10)
        said = log.text + hub.log + repr(server.__dict__)
        assert not any(secret in said for secret in way.secrets)
    modes = {path.stat().st_mode & 0o077 for path in (tmp_path / "edge" / "nats").glob("*.*") if path.is_file()}
    assert modes == {0}, "what holds secrets is ours alone"


async def test_an_authority_that_did_not_sign_it_is_not_trusted(
    guarded: Callable[..., Any], settings: Settle, certificates: Certificates, tmp_path: Path, log: Any, ways: Any
) -> None:
    other = Tls(ca=str(Certificates(tmp_path / "other").ca))
    async with (
        guarded(ways["user"].auth, tls=certificates.server()) as hub,
        edge(hub, settings, tmp_path / "edge", ways["user"].credentials, other) as (_, _own, beyond),
    ):
        await log.wait_for("certificate signed by unknown authority")
        assert beyond.link_nowait() is None


async def test_a_hub_that_speaks_plainly_gets_nothing_secret(
    guarded: Callable[..., Any], settings: Settle, certificates: Certificates, tmp_path: Path, log: Any, ways: Any
) -> None:
    async with guarded(ways["user"].auth, extra="trace: true\ntrace_verbose: true") as hub:
        url = hub.leaf_url.replace("nats-leaf://", "tls://")
        tls = Tls(ca=str(certificates.ca))
        async with edge(hub, settings, tmp_path / "edge", ways["user"].credentials, tls, url) as (_, _own, beyond):
            await log.wait_for("TLS")
            assert beyond.link_nowait() is None
        assert PASSWORD not in hub.log
        assert "<<- [CONNECT" not in hub.log


@pytest.mark.parametrize("kind", ["password_file", "nkey", "creds"])
async def test_renewed_credentials_make_a_new_leaf_link_and_leave_local_clients_alone(
    guarded: Callable[..., Any], settings: Settle, ways: Any, kind: str, tmp_path: Path, log: Any, operator: Any
) -> None:
    old, new = ways[kind], all_ways(tmp_path / "new")[kind]
    if kind == "creds":
        old.auth = new.auth = operator.config
        operator.fleet.creds(Path(old.credentials.creds))
        operator.fleet.creds(Path(new.credentials.creds))
    if kind == "password_file":
        (tmp_path / "new" / "password").write_text("the-next-one")
        new.auth = old.auth.replace(PASSWORD, "the-next-one")
    async with (
        guarded(old.auth) as hub,
        edge(hub, settings, tmp_path / "edge", old.credentials) as (server, own, beyond),
    ):
        mine, pid = await own.link(), server.pid
        await beyond.link()
        hub.auth = new.auth
        hub.reload()
        [renewed], [known] = new.credentials.files, old.credentials.files
        os.replace(renewed, known)  # noqa: PTH105 - two paths as text
        await until_link(beyond, 2)
        await log.wait_for("were renewed: a new link is made")
        assert (server.pid, own.link_nowait()) == (pid, mine)
        copies = list((tmp_path / "edge" / "nats").glob("uplink-*"))
        assert len(copies) == (1 if kind == "creds" else 0), "old copies are removed"


async def test_a_server_that_can_not_change_its_hub_is_started_again(
    guarded: Callable[..., Any],
    settings: Settle,
    tmp_path: Path,
    log: Any,
    operator: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mesh.server.child.RELOAD_SECONDS", 0)  # as if it did not say that it has done so
    path = tmp_path / "edge.creds"
    operator.fleet.creds(path)
    async with (
        guarded(operator.config) as hub,
        edge(hub, settings, tmp_path / "edge", Credentials(creds=str(path))) as (server, own, beyond),
    ):
        pid = server.pid
        await asyncio.gather(own.link(), beyond.link())
        operator.fleet.creds(path)
        await log.wait_for("it is started again")
        await until_link(own, 2)
        await until_link(beyond, 2)
        assert server.pid != pid


async def test_credentials_that_expired_are_tried_on_until_they_are_renewed(
    guarded: Callable[..., Any], settings: Settle, tmp_path: Path, log: Any, operator: Any
) -> None:
    path = tmp_path / "edge.creds"
    operator.fleet.creds(path, expires=time.time() + 2)
    async with (
        guarded(operator.config) as hub,
        edge(hub, settings, tmp_path / "edge", Credentials(creds=str(path))) as (server, own, beyond),
    ):
        first, mine = await beyond.link(), await own.link()
        assert server.expires is not None
        await first.lost.wait()
        await log.wait_for("Authorization Violation")
        operator.fleet.creds(path, expires=time.time() + 60)
        await until_link(beyond, 2)
        assert own.link_nowait() is mine
        assert "the credentials for the hub" in log.text


async def test_a_damaged_file_keeps_the_link_and_survives_a_restart(
    guarded: Callable[..., Any], settings: Settle, tmp_path: Path, log: Any, operator: Any
) -> None:
    path = tmp_path / "edge.creds"
    operator.fleet.creds(path)
    async with (
        guarded(operator.config) as hub,
        edge(hub, settings, tmp_path / "edge", Credentials(creds=str(path))) as (server, _, beyond),
    ):
        await beyond.link()
        path.write_text("half")
        await log.wait_for("can't be used")
        assert beyond.number == 1
        assert server._child is not None
        await server._child.kill()
        await until_link(beyond, 2)
        assert "the credentials that were known before are used" in log.text


async def test_at_the_start_credentials_must_be_readable(settings: Settle, tmp_path: Path) -> None:
    hub = Hub(url="nats-leaf://127.0.0.1:1", credentials=Credentials(creds=str(tmp_path / "nowhere")))
    with pytest.raises(InvalidAccess, match="can be read"):
        async with EmbeddedServer.open(settings(tmp_path / "edge", hub=hub)):
            pass

"""Credentials are renewed, and expire, while an agent is at work."""

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.events import Identity
from mesh.connection import Connection
from mesh.credentials import Credentials, Tls
from mesh.key_files import DAY, Expiry, span
from tests.guarded_hub import TOKEN, Certificates

pytestmark = pytest.mark.nats


def replace(path: Path, text: str) -> None:
    fresh = path.with_suffix(".fresh")
    fresh.write_text(text)
    fresh.replace(path)


async def until_link(connection: Connection, number: int) -> None:
    async with asyncio.timeout(15):
        while (link := await connection.link()).number < number:
            await link.lost.wait()


async def test_a_renewed_creds_file_gives_a_new_link_at_once(
    guarded: Callable[..., Any], kept: Callable[..., Any], operator: Any, tmp_path: Path, log: Any
) -> None:
    path = tmp_path / "agent.creds"
    operator.fleet.creds(path, expires=time.time() + 3600)
    async with guarded(operator.config) as hub, kept(hub.url, Credentials(creds=str(path))) as connection:
        first = await connection.link()
        assert "expire in 59 min: renew their file" in log.text
        operator.fleet.creds(path, expires=time.time() + 30 * DAY)
        await until_link(connection, 2)
        assert first.lost.is_set()
        assert connection.expires > time.time() + 29 * DAY
        assert "were renewed: a new link takes over" in log.text
        assert "is lost" not in log.text


async def test_a_renewed_token_gives_a_new_link_once_the_server_takes_it(
    guarded: Callable[..., Any], kept: Callable[..., Any], ways: Any, log: Any
) -> None:
    way = ways["token_file"]
    async with guarded(way.auth) as hub, kept(hub.url, way.credentials) as connection:
        first = await connection.link()
        replace(Path(way.credentials.token_file), "the-next-one")
        await log.wait_for("don't work")
        assert "the old connection stays while it can" in log.text
        assert connection.link_nowait() is first
        await first.nc.flush()
        hub.auth = way.auth.replace(TOKEN, "the-next-one")
        hub.reload()  # which ends connections that would not get in now
        await until_link(connection, 2)
        assert "the-next-one" not in log.text


async def test_a_file_that_is_half_written_does_not_end_the_link(
    guarded: Callable[..., Any], kept: Callable[..., Any], operator: Any, tmp_path: Path, log: Any
) -> None:
    path = tmp_path / "agent.creds"
    operator.fleet.creds(path)
    async with guarded(operator.config) as hub, kept(hub.url, Credentials(creds=str(path))) as connection:
        first = await connection.link()
        whole = path.read_text()
        path.write_text(whole[:100])
        await log.wait_for("is not a .creds file")
        path.unlink()
        await log.wait_for("is not a file that can be read")
        assert connection.link_nowait() is first
        path.write_text(whole)
        await until_link(connection, 2)


async def test_credentials_that_expired_are_tried_on_until_they_are_renewed(
    guarded: Callable[..., Any], kept: Callable[..., Any], operator: Any, tmp_path: Path, log: Any
) -> None:
    path = tmp_path / "agent.creds"
    operator.fleet.creds(path, expires=time.time() + 2)
    async with guarded(operator.config) as hub, kept(hub.url, Credentials(creds=str(path))) as connection:
        await connection.link()
        await log.wait_for("is lost: nats: user authentication expired")
        await log.wait_for("the credentials expired ")
        assert connection.expires is not None
        assert connection.expires <= time.time()
        operator.fleet.creds(path, expires=time.time() + 60)
        await until_link(connection, 2)


async def test_a_renewed_client_certificate_is_shown(
    guarded: Callable[..., Any], kept: Callable[..., Any], certificates: Certificates
) -> None:
    ours = Tls(ca=str(certificates.ca), cert=str(certificates.client), key=str(certificates.client))
    async with (
        guarded("", tls=certificates.server(verify=True)) as hub,
        kept(hub.url, Credentials(), ours) as connection,
    ):
        await connection.link()
        fresh = certificates.authority.issue_cert("agent").private_key_and_cert_chain_pem.bytes().decode()
        replace(certificates.client, fresh)
        await until_link(connection, 2)


async def test_a_link_of_files_is_seen_to_lead_elsewhere(
    guarded: Callable[..., Any], kept: Callable[..., Any], operator: Any, tmp_path: Path
) -> None:
    """As secrets that are mounted into a container are renewed."""
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        operator.fleet.creds(tmp_path / name / "agent.creds")
    stamp = (tmp_path / "old" / "agent.creds").stat()
    os.utime(tmp_path / "new" / "agent.creds", ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    (tmp_path / "now").symlink_to("old")
    creds = Credentials(creds=str(tmp_path / "now" / "agent.creds"))
    async with guarded(operator.config) as hub, kept(hub.url, creds) as connection:
        await connection.link()
        (tmp_path / "next").symlink_to("new")
        (tmp_path / "next").replace(tmp_path / "now")
        await until_link(connection, 2)


async def test_no_fact_is_lost_while_credentials_expire_and_are_renewed(
    guarded: Callable[..., Any], kept: Callable[..., Any], operator: Any, tmp_path: Path, relaying: Callable[..., Any]
) -> None:
    path = tmp_path / "agent.creds"
    operator.fleet.creds(path, expires=time.time() + 2)
    async with guarded(operator.config) as hub, kept(hub.url, Credentials(creds=str(path))) as connection:
        async with relaying(connection, Identity("edge", "default", "e1")) as (facts, stored):
            link, sent = await connection.link(), 0
            while not link.lost.is_set():
                sent += 50
                await facts(50)
            sent += 50
            await facts(50)  # nobody takes these now
            operator.fleet.creds(path, expires=time.time() + 60)
            for _ in range(3):  # and while there is a link, it is renewed under load
                await facts(200)
                number = (await connection.link()).number
                operator.fleet.creds(path, expires=time.time() + 60)
                await until_link(connection, number + 1)
                sent += 200
            numbers = await stored(sent)
        assert numbers == list(range(1, sent + 1))
        assert connection.number >= 5


def test_expiry_is_said_a_few_times_and_not_more(log: Any) -> None:
    expiry = Expiry("the hub")
    for day in range(30):
        for _ in range(3):
            expiry.look(20.0 * DAY, day * float(DAY))
    assert log.text.count("expire in") == 3
    assert "the credentials for the hub expire in 3 d" in log.text
    assert "expired 0 s ago" in log.text
    expiry.look(None, 0)


@pytest.mark.parametrize(("seconds", "text"), [(3 * DAY + 5, "3 d"), (7200, "2 h"), (61, "1 min"), (4.7, "4 s")])
def test_spans_are_shown_in_their_largest_unit(seconds: float, text: str) -> None:
    assert span(seconds) == text

"""Every documented way to a guarded server, and every way not to get in."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mesh.credentials import Credentials, Tls
from mesh.errors import InvalidAccess
from tests.guarded_hub import Certificates
from tests.guarded_hub import ways as all_ways

pytestmark = pytest.mark.nats
KINDS = ["user", "password_file", "token", "token_file", "nkey", "creds"]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that TLS did not let in does not finish closing."""
    monkeypatch.setattr("mesh.nats_client.CLOSE_SECONDS", 0.2)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("secure", [False, True])
async def test_a_client_gets_in_and_nothing_secret_is_said(
    guarded: Callable[..., Any], kept: Callable[..., Any], ways: Any, certificates: Any, kind: str, secure: bool,
    log: Any,
) -> None:  # fmt: skip
    way = ways[kind]
    tls = Tls(ca=str(certificates.ca)) if secure else None
    async with guarded(way.auth, tls=certificates.server() if secure else "") as hub:
        async with kept(hub.url, way.credentials, tls) as connection:
            link = await asyncio.wait_for(connection.link(), 5)
            await link.nc.flush()
            hub.kill()
            await link.lost.wait()
            await log.wait_for("can't be reached")
        said = log.text + repr(way.credentials) + repr(connection.__dict__) + repr(way.credentials.login())
        assert not any(secret in said for secret in way.secrets)


@pytest.mark.parametrize("kind", KINDS)
async def test_without_the_right_credentials_nobody_gets_in(
    guarded: Callable[..., Any], kept: Callable[..., Any], ways: Any, kind: str, log: Any, tmp_path: Path
) -> None:
    wrong = all_ways(tmp_path / "others")[kind].credentials
    if kind in ("user", "password_file"):
        wrong = Credentials(user="fleet", password="something-else")
    if kind in ("token", "token_file"):
        wrong = Credentials(token="something-else")
    async with guarded(ways[kind].auth) as hub, kept(hub.url, wrong) as connection:
        await log.wait_for("the server does not take these credentials")
        assert connection.link_nowait() is None
        assert "something-else" not in log.text


async def test_a_server_that_wants_credentials_says_where_to_set_them(
    guarded: Callable[..., Any], kept: Callable[..., Any], ways: Any, log: Any
) -> None:
    async with guarded(ways["user"].auth) as hub, kept(hub.url, Credentials()):
        await log.wait_for("wants (other) credentials (Authorization Violation): set [mesh] credentials")


async def test_an_authority_that_did_not_sign_it_is_not_trusted(
    guarded: Callable[..., Any], kept: Callable[..., Any], certificates: Any, tmp_path: Path, log: Any
) -> None:
    other = Tls(ca=str(Certificates(tmp_path / "other").ca))
    async with guarded("", tls=certificates.server()) as hub, kept(hub.url, Credentials(), other):
        await log.wait_for("is not to be trusted")
        assert "name the authority that signed it in [mesh] tls.ca" in log.text


async def test_a_certificate_for_another_host_is_refused_unless_its_name_is_given(
    guarded: Callable[..., Any], kept: Callable[..., Any], tmp_path: Path, log: Any
) -> None:
    elsewhere = Certificates(tmp_path / "tls", "hub.example.org")
    async with guarded("", tls=elsewhere.server()) as hub:
        async with kept(hub.url, Credentials(), Tls(ca=str(elsewhere.ca))):
            await log.wait_for("the server's certificate is for another name")
            assert "tls.hostname" in log.text
        named = Tls(ca=str(elsewhere.ca), hostname="hub.example.org")
        async with kept(hub.url, Credentials(), named) as connection:
            await asyncio.wait_for(connection.link(), 5)


@pytest.mark.parametrize("first", [True, False])
async def test_a_plain_server_gets_nothing_secret_from_who_asks_for_tls(
    guarded: Callable[..., Any], kept: Callable[..., Any], ways: Any, certificates: Any, first: bool, log: Any
) -> None:
    async with guarded(ways["user"].auth, extra="trace: true\ntrace_verbose: true") as hub:
        url = hub.url.replace("nats://", "tls://")
        tls = Tls(ca=str(certificates.ca), handshake_first=first)
        async with kept(url, ways["user"].credentials, tls) as connection:
            await log.wait_for("does not begin with TLS" if first else "set up `tls` there, or write nats://")
            assert connection.link_nowait() is None
        assert "<<- [CONNECT" not in hub.log


async def test_tls_after_the_first_line_works_where_it_is_asked_for(
    guarded: Callable[..., Any], kept: Callable[..., Any], certificates: Any
) -> None:
    later = Tls(ca=str(certificates.ca), handshake_first=False)
    async with (
        guarded("", tls=certificates.server(first=False)) as hub,
        kept(hub.url, Credentials(), later) as connection,
    ):
        await asyncio.wait_for(connection.link(), 5)


async def test_a_server_may_want_our_certificate(
    guarded: Callable[..., Any], kept: Callable[..., Any], certificates: Any, log: Any
) -> None:
    async with guarded("", tls=certificates.server(verify=True)) as hub:
        async with kept(hub.url, Credentials(), Tls(ca=str(certificates.ca))):
            await log.wait_for("it may want a certificate of ours")
        ours = Tls(ca=str(certificates.ca), cert=str(certificates.client), key=str(certificates.client))
        async with kept(hub.url, Credentials(), ours) as connection:
            await asyncio.wait_for(connection.link(), 5)


async def test_who_speaks_plainly_to_a_server_that_begins_with_tls_is_told(
    guarded: Callable[..., Any], kept: Callable[..., Any], certificates: Any, log: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("mesh.nats_client.CONNECT_SECONDS", 0.3)
    async with guarded("", tls=certificates.server()) as hub, kept(hub.url.replace("tls://", "nats://"), Credentials()):
        await log.wait_for("write tls:// in the url")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("", "is not a .creds file"),
        ("-----BEGIN NATS USER JWT-----\n", "is not a .creds file"),
        ("-----BEGIN NATS USER JWT-----\na.b.c\n------END NATS USER JWT------\n", "is not a .creds file"),
        ("\udcff", "is not text"),
        ("x" * 70_000, "larger than credentials are"),
    ],
)
def test_a_creds_file_that_is_damaged_is_refused(tmp_path: Path, content: str, what: str) -> None:
    path = tmp_path / "agent.creds"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(InvalidAccess, match=what):
        Credentials(creds=str(path)).check()


def test_a_seed_that_is_none_is_refused_and_not_shown(tmp_path: Path, operator: Any) -> None:
    path = tmp_path / "seed"
    for content, what in (("not-a-seed", "no nkey seed"), (operator.fleet.key.seed, "not a user's")):
        path.write_text(content)
        with pytest.raises(InvalidAccess, match=what) as caught:
            Credentials(nkey=str(path)).check()
        assert content not in str(caught.value)


@pytest.mark.parametrize("content", ["", "\n", "one\ntwo\n"])
def test_a_password_file_holds_one_line(tmp_path: Path, content: str) -> None:
    path = tmp_path / "password"
    path.write_text(content)
    with pytest.raises(InvalidAccess, match="one line"):
        Credentials(user="fleet", password_file=str(path)).check()


def test_there_is_one_way_to_prove_who_we_are(tmp_path: Path) -> None:
    with pytest.raises(InvalidAccess, match="give one way"):
        Credentials(user="fleet", password="x", token="y").check()
    with pytest.raises(InvalidAccess, match="not both"):
        Credentials(token="x", token_file="y").check()

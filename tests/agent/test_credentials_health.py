"""What `doctor` and `status` say of the credentials for another server."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.config import InvalidConfig, load_config
from agent.doctor import examine
from agent.finding import Verdict
from mesh.key_files import DAY
from tests.guarded_hub import guarded_hub
from tests.nats_jwt import Operator


def finding(tmp_path: Path, lines: str) -> tuple[Verdict, str] | None:
    file = tmp_path / "config.toml"
    file.write_text(
        f'data_dir = "{tmp_path / "data"}"\n[mesh]\nmode = "external"\nurl = "nats://x:4222"\n[mesh.credentials]\n{lines}\n'
    )
    config, _ = load_config(file, environ={"HOME": str(tmp_path)})
    found = [one for one in examine(config, file) if one.check == "credentials"]
    return (found[0].verdict, found[0].message) if found else None


@pytest.mark.parametrize(
    ("days", "verdict", "text"),
    [
        (None, "ok", "without an end"),
        (30, "ok", "expire in 29 d"),
        (3, "warn", "expire in 2 d"),
        (-1, "fail", "expired 1 d ago"),
    ],
)
def test_doctor_tells_how_long_credentials_are_good_for(
    tmp_path: Path, days: int | None, verdict: str, text: str
) -> None:
    expires = None if days is None else time.time() + days * DAY
    Operator().fleet.creds(tmp_path / "a.creds", expires=expires)
    said = finding(tmp_path, 'creds = "a.creds"')
    assert said is not None
    assert said[0].value == verdict
    assert text in said[1]


def test_doctor_tells_what_is_wrong_with_them(tmp_path: Path) -> None:
    assert finding(tmp_path, "") is None
    assert finding(tmp_path, 'nkey = "nowhere"')[0] is Verdict.FAIL  # type: ignore[index]
    (tmp_path / "token").write_text("secret")
    (tmp_path / "token").chmod(0o644)
    said = finding(tmp_path, 'token_file = "token"')
    assert said == (Verdict.FAIL, f"other users can read {tmp_path / 'token'}")


@pytest.mark.nats
async def test_status_tells_until_when_the_server_lets_the_agent_in(
    tmp_path: Path, shell: Any, start: Callable[..., Any]
) -> None:
    operator = Operator()
    seed = operator.fleet.creds(tmp_path / "a.creds", expires=time.time() + 2 * DAY).seed
    async with guarded_hub(tmp_path / "hub", operator.config) as hub:
        config = shell.write(
            "a.toml", f'[mesh]\nmode = "external"\nurl = "{hub.url}"\n[mesh.credentials]\ncreds = "a.creds"\n'
        )
        agent = start("--config", config, "--log-level", "debug")
        status = agent("status", "--config", config, "--json").json
        assert status["credentials_expire"] > "2026"
        assert "expire" in agent("status", "--config", config).out
        assert "expire in 1 d" in agent.said()
        agent.end()
        written = [path.read_bytes() for path in agent.data_dir.rglob("*") if path.is_file()]
        assert not [content for content in written if seed.encode() in content]
        assert seed not in (shell.directory / "agent.log").read_text()


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        ('mode = "external"\nurl = "nats://x:4222"\ntls = {ca = "ca.pem"}', "write tls://host:port in mesh.url"),
        ('hub = "nats-leaf://x:7422"\ntls = {ca = "ca.pem"}', "write tls://host:port in mesh.url or mesh.hub"),
        ('hub = "tls://x:7422"\ntls = {hostname = "y"}', "write the certificate's name into mesh.hub"),
    ],
)
def test_tls_that_would_have_no_effect_is_refused(tmp_path: Path, lines: str, text: str) -> None:
    file = tmp_path / "config.toml"
    file.write_text(f"[mesh]\n{lines}\n")
    with pytest.raises(InvalidConfig) as caught:
        load_config(file, environ={"HOME": str(tmp_path)})
    assert text in "\n".join(caught.value.problems)

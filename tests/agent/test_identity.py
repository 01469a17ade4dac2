from pathlib import Path

import pytest

from agent.config.units import is_agent_id
from agent.identity import agent_id


def test_an_id_is_made_once_and_kept(tmp_path: Path) -> None:
    made = agent_id(tmp_path)
    assert is_agent_id(made)
    assert agent_id(tmp_path) == made


@pytest.mark.parametrize(
    ("host", "start"),
    [("Kühl_Haus.example.org", "k-hl-haus-"), ("-.-", "agent-"), ("x" * 80, "x" * 58 + "-"), ("edge-07", "edge-07-")],
)
def test_any_host_name_gives_an_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str, start: str) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: host)
    made = agent_id(tmp_path)
    assert made.startswith(start)
    assert is_agent_id(made)


def test_a_configured_id_wins(tmp_path: Path) -> None:
    assert agent_id(tmp_path, "kitchen") == "kitchen"


def test_a_spoilt_file_is_reported(tmp_path: Path) -> None:
    (tmp_path / "agent-id").write_text("Not An Id\n")
    with pytest.raises(ValueError, match="mend it or remove it"):
        agent_id(tmp_path)

"""What a start makes of a directory that is not where it was, where there is nobody to ask."""

import logging
from pathlib import Path

import pytest

from agent.fleet.fingerprint import NOWHERE, is_where_it_was, keep
from agent.fleet.twin import FILE, TwinLives, forget, found_before, refuse_a_twin, remember, rule_out_a_twin
from agent.lock import locked
from agent.mesh_wiring import Mesh
from mesh.connection import Connection
from mesh.credentials import Credentials
from mesh.presence.beat import Beat


@pytest.fixture
def data(tmp_path: Path) -> Path:
    with locked(tmp_path / "data"):
        keep(tmp_path / "data", NOWHERE)
    return tmp_path / "data"


async def test_a_lone_agent_that_was_moved_goes_on(data: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "ganglion"):
        await rule_out_a_twin(data, None, tenant="default", agent="pi", every=1.0)
    assert "no other agents here" in caplog.text
    assert is_where_it_was(data)


async def test_without_an_answer_a_start_goes_on_and_the_next_one_looks_again(
    data: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.fleet.twin.REACH_SECONDS", 0.2)
    nowhere = Mesh(Connection(["nats://127.0.0.1:1"], credentials=Credentials(), name="test"), None, None)
    with caplog.at_level(logging.WARNING, "ganglion"):
        await rule_out_a_twin(data, nowhere, tenant="default", agent="pi", every=1.0)
    assert "did not answer in time, so another agent pi may run; going on" in caplog.text
    assert not is_where_it_was(data)


def test_a_twin_is_remembered_until_somebody_decides(data: Path) -> None:
    refuse_a_twin(data)
    error = remember(
        data, Beat(agent="pi", tenant="default", version="1", host="attic", started="2026-01-01T00:00:00Z")
    )
    assert "another agent pi is running on attic, started 2026-01-01T00:00:00Z" in str(error)
    with pytest.raises(TwinLives, match="ganglion identity keep"):
        refuse_a_twin(data)
    forget(data)
    refuse_a_twin(data)
    assert not is_where_it_was(data)


def test_a_spoilt_note_still_refuses(data: Path) -> None:
    (data / FILE).write_bytes(b"\x00")
    assert found_before(data) is not None
    with pytest.raises(TwinLives):
        refuse_a_twin(data)

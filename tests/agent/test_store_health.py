"""What `ganglion doctor` says of the store."""

import sqlite3

import pytest

from agent.finding import Verdict
from agent.store_health import examine_recording, examine_store
from engine.fleet.event import FleetEvent
from engine.fleet.store import FleetStore
from engine.states import ExecutionState, NodeState
from engine.store import Store, checkpoints, executions
from engine.store.checkpoints import NodeRow
from engine.store.executions import ExecutionRow


@pytest.fixture
async def path(tmp_path):
    path = tmp_path / "ganglion.db"
    async with Store.open(path) as store:
        for i in range(200):
            await store.submit(lambda tx, i=i: made(tx, f"e{i:03}"))
    return path


def made(tx, name: str) -> None:
    executions.create(
        tx,
        ExecutionRow(
            id=name, workflow="w", version=1, status=ExecutionState.QUEUED, root=name, trigger=b"{}", created_at=1
        ),
    )
    checkpoints.write(
        tx, name, NodeRow(path="a", status=NodeState.COMPLETED, attempt=1, output=b'"' + b"x" * 300 + b'"')
    )


def change(path, statement: str) -> None:
    db = sqlite3.connect(path)
    with db:
        db.execute(statement)
    db.close()


def test_store_that_is_whole_is_one_line(path):
    [finding] = examine_store(path)

    assert finding.verdict is Verdict.OK
    assert finding.message.endswith("MB, whole")


def test_without_a_store_there_is_nothing_to_say(tmp_path):
    assert list(examine_store(tmp_path / "ganglion.db")) == []


def test_damaged_rows_and_blocked_executions_are_listed_with_what_to_do(path):
    change(path, "UPDATE nodes SET output = x'00' WHERE execution = 'e007'")
    change(path, """UPDATE executions SET status = 'blocked', error = '{"message": "no type x"}' WHERE id > 'e192'""")

    whole, damaged, blocked = examine_store(path)

    assert whole.verdict is Verdict.OK
    assert damaged.verdict is Verdict.FAIL
    assert "1 executions have a damaged row: e007: the checkpoint of a in execution e007 is damaged" in damaged.message
    assert "7 are blocked: e193 (w@1): no type x; " in blocked.message
    assert blocked.message.endswith("; and 2 more")
    assert "ganglion cancel ID" in blocked.remedy


def test_damaged_file_names_the_restore(path):
    content = bytearray(path.read_bytes())
    for page in range(20, len(content) // 4096, 7):
        content[page * 4096 : page * 4096 + 20] = b"\xff" * 20
    path.write_bytes(content)

    finding = next(iter(examine_store(path)))

    assert finding.verdict is Verdict.FAIL
    assert "ganglion restore FILE" in finding.remedy


def test_file_that_is_no_database_is_told(tmp_path):
    (tmp_path / "ganglion.db").write_text("Dear all," * 1000)

    [finding] = examine_store(tmp_path / "ganglion.db")

    assert finding.verdict is Verdict.FAIL
    assert "can't be read" in finding.message


def test_restore_that_was_interrupted_is_told(path):
    path.with_name("ganglion.db.restored").touch()

    assert "completes the restore" in next(iter(examine_store(path))).remedy


async def test_a_recorders_file_is_looked_at(tmp_path):
    path = tmp_path / "fleet.db"
    assert list(examine_recording(path)) == []
    async with FleetStore.open(path) as store:
        await store.record([FleetEvent(agent="pi-1", epoch="e", seq=n, time=1, kind="x.y") for n in range(1, 500)])

    [finding] = examine_recording(path)
    assert (finding.check, finding.verdict) == ("fleet", Verdict.OK)
    assert finding.message.endswith("MB, whole")

    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 8192)
    [finding] = examine_recording(path)
    assert finding.verdict is Verdict.FAIL
    assert "sets the file aside" in finding.remedy

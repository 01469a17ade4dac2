"""Which data directories a program takes: older ones become its own, newer ones stay as they are."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent.update import directory
from agent.update.directory import FILE, FORMAT, Stamp, knowledge, mark, refuse_newer, would_migrate
from agent.update.program import this_program
from engine.fleet.store import FleetStore
from engine.store import Store, StoreFull, StoreNewer, schema
from engine.store.schema import MIGRATIONS, migrate
from engine.store.versions import versions

LATER = ("from-the-future", "CREATE TABLE later (x)")


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


async def newer(path: Path, opened: Callable[..., Any] = Store.open) -> None:
    """A file to which a newer program has added something."""
    async with opened(path, program="ganglion 0.9.0 (abc)"):
        pass
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("INSERT INTO migrations VALUES ('from-the-future', 1)")


@pytest.mark.parametrize(
    ("name", "opened", "way"),
    [
        ("ganglion.db", Store.open, "or ganglion restore a backup from before"),
        ("fleet.db", FleetStore.open, "or move fleet.db and its -wal away"),
    ],
)
async def test_newer_database_is_refused_in_one_line_and_nothing_is_touched(tmp_path, name, opened, way) -> None:
    await newer(tmp_path / name, opened)
    before = files(tmp_path)

    with pytest.raises(StoreNewer) as refused:
        refuse_newer(tmp_path)

    assert str(refused.value) == (
        f"{tmp_path} was written by ganglion 0.9.0 (abc) and has in {name} what this one does not know "
        f"(from-the-future); this is {this_program().told}: nothing was touched. Run the newer program, {way}"
    )
    assert files(tmp_path) == before


async def test_migration_that_only_the_wal_holds_is_seen(tmp_path) -> None:
    async with Store.open(tmp_path / "ganglion.db"):
        pass
    writer = sqlite3.connect(tmp_path / "ganglion.db", isolation_level=None)
    writer.execute("INSERT INTO migrations VALUES ('from-the-future', 1)")

    with closing(writer), pytest.raises(StoreNewer, match="by a newer ganglion and has in"):
        refuse_newer(tmp_path)


async def test_restored_newer_database_that_has_not_taken_its_place_is_seen(tmp_path) -> None:
    async with Store.open(tmp_path / "ganglion.db"):
        pass
    await newer(tmp_path / "ganglion.db.restored")

    with pytest.raises(StoreNewer):
        refuse_newer(tmp_path)


def test_newer_format_is_refused_and_the_older_one_taken(tmp_path) -> None:
    (tmp_path / FILE).write_bytes(msgspec.json.encode(Stamp(format=FORMAT + 1, program="ganglion 0.9.0")))
    with pytest.raises(StoreNewer, match=rf"ganglion 0\.9\.0 and has format {FORMAT + 1}, and this one knows up to"):
        refuse_newer(tmp_path)

    (tmp_path / FILE).write_bytes(msgspec.json.encode(Stamp(format=FORMAT, program="ganglion 0.0.1")))
    refuse_newer(tmp_path)
    mark(tmp_path)
    assert this_program().told in (tmp_path / FILE).read_text()


def test_a_full_disk_keeps_no_agent_from_its_start_unless_it_has_another_format(tmp_path, monkeypatch) -> None:
    (tmp_path / f"{FILE}.new").mkdir()  # nothing can be written there
    mark(tmp_path)
    monkeypatch.setattr(directory, "FORMAT", FORMAT + 1)
    with pytest.raises(StoreFull):
        mark(tmp_path)


def test_what_is_no_directory_of_ours_is_left_to_others(tmp_path) -> None:
    refuse_newer(tmp_path / "not-there")
    (tmp_path / "ganglion.db").write_bytes(b"no database")
    (tmp_path / FILE).write_bytes(b"nonsense")
    refuse_newer(tmp_path)
    assert files(tmp_path) == {"ganglion.db": b"no database", FILE: b"nonsense"}


async def test_the_file_names_the_program_that_wrote_it_last(tmp_path) -> None:
    path = tmp_path / "ganglion.db"
    for program in ("ganglion 0.1.0", "ganglion 0.2.0"):
        async with Store.open(path, program=program):
            pass
        found = versions(path)
        assert found is not None
        assert found.program == program
    assert found.migrations == tuple(name for name, _ in MIGRATIONS)


async def test_a_program_tells_what_another_one_would_add(tmp_path, monkeypatch) -> None:
    async with Store.open(tmp_path / "ganglion.db"):
        pass
    assert would_migrate(tmp_path, knowledge().migrations) == []

    monkeypatch.setattr(directory, "MIGRATIONS", (*MIGRATIONS, LATER))
    assert would_migrate(tmp_path, knowledge().migrations) == ["ganglion.db"]


def test_all_that_is_missing_comes_in_one_commit_with_the_programs_name(tmp_path, monkeypatch) -> None:
    with closing(sqlite3.connect(tmp_path / "s.db", isolation_level=None)) as db:
        migrate(db, 7, program="ganglion 0.1.0")
        broken = (*MIGRATIONS, LATER, ("broken", "CREATE NONSENSE"))
        monkeypatch.setattr(schema, "MIGRATIONS", broken)
        with pytest.raises(sqlite3.OperationalError):
            migrate(db, 8, program="ganglion 0.9.0")

        assert not db.in_transaction
        assert db.execute("SELECT COUNT(*) FROM migrations WHERE name = 'from-the-future'").fetchone() == (0,)
        assert db.execute("SELECT value FROM meta WHERE key = 'program'").fetchone() == ("ganglion 0.1.0",)


def test_an_agent_refuses_a_newer_directory_before_it_touches_it(start, shell) -> None:
    agent = start()
    agent.end()
    with closing(sqlite3.connect(agent.data_dir / "ganglion.db")) as db, db:
        db.execute("INSERT INTO migrations VALUES ('from-the-future', 1)")
    before = files(agent.data_dir)

    done = shell("up", "--data-dir", agent.data_dir, "--listen", "127.0.0.1:0")

    assert done.code == 1
    [line] = done.err.splitlines()
    assert line.startswith(f"ganglion: {agent.data_dir} was written by {this_program().told} and has in ganglion.db")
    assert files(agent.data_dir) == before


def test_commands_without_an_agent_refuse_a_newer_directory_too(shell) -> None:
    data = shell.directory / "data"
    data.mkdir()
    with closing(sqlite3.connect(data / "ganglion.db", isolation_level=None)) as db:
        migrate(db, 1, program="ganglion 0.9.0")
        db.execute("INSERT INTO migrations VALUES ('from-the-future', 1)")
    file = shell.write("w.yaml", "name: w\nnodes:\n  a: {type: log, message: hi}\n")
    before = files(data)

    for command in (("run", file, "--data-dir", data), ("identity", "new", "--data-dir", data)):
        done = shell(*command)
        assert (done.code, "was written by ganglion 0.9.0 and has in" in done.err) == (1, True), done.err
    found = shell("doctor", "--data-dir", data, "--json").json["findings"]

    assert [one["verdict"] for one in found if one["check"] == "version"] == ["fail"]
    assert files(data) == before

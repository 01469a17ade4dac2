"""Files at rest start executions, each once: real files, virtual time."""

import asyncio
import os
from contextlib import suppress
from pathlib import Path

import pytest

from agent.file_watch.places import Places
from agent.file_watch.watch import FileWatch
from engine.clock import SystemClock
from engine.control import Refused
from engine.definition.model import FileFormat, FileTrigger, MoveTo
from engine.store import deadletters
from engine.triggers.files import Files

CSV = FileTrigger(path="inbox/*.csv", format=FileFormat.TEXT)
LONG = 300.0


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_a_file_that_was_there_before_is_taken_once(watched, store) -> None:
    watched.inbox.mkdir(parents=True)
    path = watched.inbox / "a.csv"
    path.write_text("1,2")
    os.utime(path, ns=(0, 1_795_000_000_123_456_789))
    await watched.follow(CSV)
    await watched.run(1.5)
    assert watched.admitted.rows == []
    await watched.run(LONG)
    [row] = watched.admitted.rows
    assert (row.workflow, row.version) == ("w", 1)
    assert row.trigger_value["kind"] == "file"
    assert row.trigger_value["data"] == {
        "path": str(path), "name": "a.csv", "size": 3, "modified": "2026-11-18T11:06:40.123456Z", "content": "1,2",
    }  # fmt: skip
    watched.restart()
    await watched.follow(CSV)
    await watched.run(LONG)
    assert len(watched.admitted.rows) == 1
    assert names(watched.inbox) == ["a.csv"]


async def test_a_slow_writer_is_waited_for(watched) -> None:
    await watched.follow(CSV)
    path = watched.inbox / "a.csv"

    def write(part: str) -> None:
        with path.open("a") as file:
            file.write(part)
        os.utime(path, ns=(0, round(watched.clock.seconds * 1e9)))

    watched.later = [(at, lambda at=at: write(f"{at} ")) for at in (1, 2, 3, 4.5, 5)]
    await watched.run(6.9)
    assert watched.admitted.rows == []
    await watched.run(10)
    assert watched.admitted.contents == ["1 2 3 4.5 5 "]


async def test_a_file_that_somebody_keeps_open_is_waited_for(watched) -> None:
    await watched.follow(CSV)
    file = (watched.inbox / "a.csv").open("w")
    file.write("half")
    file.flush()
    await watched.run(30)
    assert watched.admitted.rows == []
    file.write(" and half")
    file.close()
    await watched.run(10)
    assert watched.admitted.contents == ["half and half"]


async def test_a_hidden_file_that_is_renamed_is_taken_whole(watched) -> None:
    await watched.follow(CSV)
    hidden = watched.inbox / ".a.csv.part"
    hidden.write_text("1")
    await watched.run(20)
    hidden.write_text("12")
    hidden.rename(watched.inbox / "a.csv")
    await watched.run(20)
    assert watched.admitted.contents == ["12"]


async def test_a_changed_file_is_a_new_one(watched) -> None:
    await watched.follow(CSV)
    path = watched.inbox / "a.csv"
    path.write_text("1")
    await watched.run(10)
    path.write_text("2")
    await watched.run(10)
    (watched.inbox / "b").write_text("3")
    (watched.inbox / "b").rename(path)
    await watched.run(10)
    assert watched.admitted.contents == ["1", "2", "3"]


async def test_every_workflow_takes_it_before_it_is_deleted(watched) -> None:
    slow = FileTrigger(path="**/*.csv", format=FileFormat.BASE64, settle=60.0)
    fast = FileTrigger(path="inbox/*.csv", format=FileFormat.TEXT, then="delete")
    await watched.follow(fast=fast, slow=slow)
    path = watched.inbox / "a.csv"
    path.write_text("1")
    await watched.run(30)
    assert path.exists()
    await watched.run(60)
    assert sorted(row.workflow for row in watched.admitted.rows) == ["fast", "slow"]
    assert watched.admitted.contents == ["1", "MQ=="]
    assert names(watched.inbox) == []


@pytest.mark.parametrize("format", [FileFormat.TEXT, FileFormat.PATH])
async def test_a_file_is_moved_and_never_over_another_one(watched, format: FileFormat) -> None:
    trigger = FileTrigger(path="inbox/**/*.csv", format=format, then=MoveTo(move="done"))
    await watched.follow(trigger)
    for content in ("1", "2", "3"):
        (watched.inbox / "a.csv").write_text(content)
        await watched.run(10)
    (watched.inbox / "x").mkdir()
    (watched.inbox / "x" / "a.csv").write_text("4")
    (watched.inbox / "a.csv").write_text("5")
    await watched.run(30)
    done = watched.inbox / "done"
    assert names(done) == ["a-2.csv", "a-3.csv", "a-4.csv", "a-5.csv", "a.csv"]
    assert sorted(path.read_text() for path in done.iterdir()) == ["1", "2", "3", "4", "5"]
    assert len(watched.admitted.rows) == 5
    if format is FileFormat.PATH:
        assert sorted(data["path"] for data in watched.admitted.data) == sorted(map(str, done.iterdir()))
        assert {data["name"] for data in watched.admitted.data} == {"a.csv"}
    else:
        assert sorted(watched.admitted.contents) == ["1", "2", "3", "4", "5"]


async def test_a_file_that_comes_back_from_its_target_is_a_new_one(watched) -> None:
    await watched.follow(FileTrigger(path="inbox/*", format=FileFormat.TEXT, then=MoveTo(move="done")))
    (watched.inbox / "a").write_text("1")
    await watched.run(10)
    (watched.inbox / "done" / "a").rename(watched.inbox / "a")
    await watched.run(10)
    assert watched.admitted.contents == ["1", "1"]


@pytest.mark.parametrize(
    ("trigger", "content", "reason"),
    [
        (FileTrigger(path="inbox/*"), b"{no", "not valid JSON"),
        (FileTrigger(path="inbox/*", format=FileFormat.TEXT), b"\xff", "not UTF-8 text"),
        (FileTrigger(path="inbox/*", format=FileFormat.TEXT, max_bytes=2, then="delete"), b"123", "3 bytes are more"),
    ],
)
async def test_what_cannot_be_taken_is_a_dead_letter_and_stays(
    watched, store, trigger: FileTrigger, content: bytes, reason: str
) -> None:
    await watched.follow(trigger)
    path = watched.inbox / "a"
    path.write_bytes(content)
    await watched.run(LONG)
    [letter] = await store.read(deadletters.listing)
    assert (letter.origin, letter.workflow, letter.subject, letter.size) == ("file", "w", str(path), len(content))
    assert letter.reason.startswith(reason)
    assert path.exists()
    assert watched.admitted.rows == []
    await watched.taken.release(letter)
    await watched.run(60)
    assert [one.replayed_at is None for one in await store.read(deadletters.listing)] == [True, False]


async def test_a_name_that_is_no_text_is_a_dead_letter(watched, store) -> None:
    await watched.follow(CSV)
    (watched.inbox / os.fsdecode(b"\xff.csv")).write_text("x")
    await watched.run(60)
    [letter] = await store.read(deadletters.listing)
    assert letter.reason == "its name is not UTF-8 text; rename it"
    assert letter.subject.endswith("/\\xff.csv")


async def test_a_directory_that_is_not_there_is_waited_for(watched, tmp_path: Path, caplog) -> None:
    await watched.follow(FileTrigger(path=f"{tmp_path}/srv/in/*", format=FileFormat.TEXT))
    await watched.run(LONG)
    folder = tmp_path / "srv" / "in"
    folder.mkdir()
    (folder / "a").write_text("1")
    await watched.run(10)
    assert watched.admitted.contents == ["1"]
    assert caplog.text.count("it is waited for") == 1


async def test_files_of_a_directory_that_was_away_are_not_new(watched, tmp_path: Path) -> None:
    await watched.follow(CSV)
    (watched.inbox / "a.csv").write_text("1")
    await watched.run(10)
    watched.inbox.rename(tmp_path / "away")
    watched.inbox.mkdir()  # as an empty mount point
    await watched.run(LONG)
    watched.inbox.rmdir()
    (tmp_path / "away").rename(watched.inbox)
    watched.restart()
    await watched.follow(CSV)
    await watched.run(LONG)
    assert watched.admitted.contents == ["1"]


async def test_an_undeploy_takes_nothing_and_a_later_deploy_goes_on(watched) -> None:
    await watched.follow(CSV)
    (watched.inbox / "a.csv").write_text("1")
    await watched.run(10)
    await watched.follow()
    (watched.inbox / "b.csv").write_text("2")
    await watched.run(60)
    assert watched.admitted.contents == ["1"]
    await watched.follow(CSV)
    await watched.run(60)
    assert watched.admitted.contents == ["1", "2"]


async def test_no_more_are_taken_at_once_than_there_are_slots(watched, store) -> None:
    watched.admitted.slots = 3
    watched.inbox.mkdir(parents=True)
    for number in range(10):
        (watched.inbox / f"{number}.csv").write_text(f"{number}")
    before = store.writer.commits
    await watched.follow(CSV)
    await watched.run(10)
    assert sorted(watched.admitted.contents) == [f"{number}" for number in range(10)]
    assert store.writer.commits == before + 4


async def test_a_directory_that_is_not_allowed_refuses_the_deploy(watched, caplog) -> None:
    outside = FileTrigger(path="/etc/*.conf")
    with pytest.raises(Refused, match=r"w: /etc/\*.conf is not under a directory that this agent watches") as refused:
        await watched.watch.capture(watched.routes(outside))
    assert refused.value.code == 422
    with pytest.raises(Refused):
        await watched.watch.capture(watched.routes(FileTrigger(path="in/*", then=MoveTo(move="/etc"))))
    await watched.watch.capture(watched.routes(CSV))
    await watched.follow(outside)  # deployed when it still was
    assert "add one to `watch`" in caplog.text
    await watched.watch.capture(watched.routes(outside))
    await watched.run(10)
    assert watched.admitted.rows == []


async def test_notifications_make_it_sooner(watched, store) -> None:
    taken = Files(store, watched.admitted)
    watch = FileWatch(taken, Places(watched.files, make=True), SystemClock())
    trigger = FileTrigger(path="inbox/*.csv", format=FileFormat.TEXT, settle=0.05)
    await watch.follow(watched.routes(trigger))
    running = asyncio.create_task(watch.run())
    try:
        async with asyncio.timeout(20):  # without notifications the first look of all comes after 30 seconds
            for number in range(3):
                (watched.inbox / f"{number}.csv").write_text(f"{number}")
                await watched.admitted.next()
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
    assert watched.admitted.contents == ["0", "1", "2"]

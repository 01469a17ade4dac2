import asyncio
from contextlib import suppress
from errno import ENOSPC
from pathlib import Path

import pytest

from agent.file_watch import watch as watching
from agent.file_watch.hints import Hints
from agent.file_watch.inotify import Inotify
from agent.file_watch.places import Places
from agent.file_watch.watch import FileWatch
from engine.clock import SystemClock
from engine.definition.model import FileFormat, FileTrigger
from engine.signal import Signal
from engine.triggers.files import Files


async def test_changes_are_told_also_of_a_directory_that_was_made_anew(tmp_path: Path) -> None:
    told, signal = [], Signal()

    def tell(path: Path) -> None:
        told.append(path.name)
        signal.set()

    hints = Hints(tell)
    running = asyncio.create_task(hints.run())
    folder = tmp_path / "in"
    folder.mkdir()
    assert hints.arm({folder: False})
    assert not hints.arm({folder: False})
    try:
        async with asyncio.timeout(20):
            number = 0
            while not told:  # until the notifications are in place
                number += 1
                (folder / f"a{number}").touch()
                await signal.wait(0.1)
            folder.rename(tmp_path / "was")
            folder.mkdir()
            assert hints.arm({folder: False}, again=True)
            while not any(name.startswith("b") for name in told):
                number += 1
                (folder / f"b{number}").touch()
                await signal.wait(0.1)
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
    assert not hints.blind


async def test_without_notifications_directories_are_looked_at_often(
    watched, store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("agent.file_watch.inotify._libc", None)
    monkeypatch.setattr(watching, "LOOK_OFTEN_SECONDS", 0.05)
    watch = FileWatch(Files(store, watched.admitted), Places(watched.files, make=True), SystemClock())
    await watch.follow(watched.routes(FileTrigger(path="inbox/*", format=FileFormat.TEXT, settle=0.05)))
    running = asyncio.create_task(watch.run())
    try:
        async with asyncio.timeout(20):
            for number in range(2):
                (watched.inbox / f"{number}").write_text(f"{number}")
                await watched.admitted.next()
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
    assert caplog.text.count("no notifications of files") == 1


async def test_where_the_system_watches_no_more_directories_what_has_changed_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def no_more(notes: Inotify, directories: object) -> None:
        raise OSError(ENOSPC, "No space left on device")

    monkeypatch.setattr(Inotify, "follow", no_more)
    told, signal = [], Signal()

    def tell(path: Path) -> None:
        told.append(path)
        signal.set()

    hints = Hints(tell)
    hints.arm({tmp_path: True})
    running = asyncio.create_task(hints.run())
    try:
        async with asyncio.timeout(20):
            while not told:
                await signal.wait()
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
    assert (told, hints.blind) == ([tmp_path], True)
    assert "fs.inotify.max_user_watches is reached" in caplog.text

"""The process is killed for real between taking a file in and moving it, and at each other point; then it starts again:
each file starts one execution, and lies where it should."""

import asyncio
import os
from itertools import count
from pathlib import Path

import pytest

from engine.store import Store, executions
from tests import warm

ROOT = Path(__file__).parents[3]
SCRIPT = """
import asyncio, sys
from pathlib import Path
from agent.file_watch.places import Places
from agent.file_watch.watch import FileWatch
from engine.definition.model import FileFormat, FileTrigger, MoveTo, Workflow
from engine.store import Store
from engine.triggers.files import Files
from engine.triggers.routes import Routes

class Anybody:
    def admit(self, rows): pass
    def free_slots(self): return 2
    async def wait_for_slots(self): pass

class Over(Exception): pass

class Clock:
    seconds = 0.0
    def now(self): return 1_795_255_620_000_000 + int(self.seconds * 1e6)
    def monotonic(self): return self.seconds

async def main():
    folder, format, then = sys.argv[1:]
    clock = Clock()
    async def sleep(seconds):
        clock.seconds += seconds
        if clock.seconds > 20: raise Over
    then = MoveTo(move="done") if then == "move" else then
    trigger = FileTrigger(path="inbox/*.csv", format=FileFormat(format), then=then)
    async with Store.open(Path(folder) / "ganglion.db", clock=clock) as store:
        watch = FileWatch(Files(store, Anybody()), Places(Path(folder) / "files", make=True), clock, sleep=sleep)
        await watch.follow(Routes([("w", 1, Workflow(name="w", triggers=(trigger,)))], agent="here"))
        try: await watch.run()
        except* Over: pass
asyncio.run(main())
"""


def run(folder: Path, format: str, then: str, *, crash_at: str = "") -> bool:
    """Whether it ended by itself."""
    done = warm.run(
        ["-c", SCRIPT, str(folder), format, then], cwd=ROOT, env={**os.environ, "GANGLION_CRASH_AT": crash_at}
    )
    assert done.returncode in (0, -9), done.stderr
    return done.returncode == 0


def started(folder: Path) -> list[dict[str, object]]:
    async def read() -> list[dict[str, object]]:
        async with Store.open(folder / "ganglion.db") as store:
            return [row.trigger_value["data"] for row in await store.read(executions.listing)]

    return asyncio.run(read())


@pytest.mark.crash
@pytest.mark.parametrize(
    ("point", "format", "then"),
    [
        ("files-before-commit", "text", "move"),
        ("files-before-commit", "path", "move"),
        ("files-after-commit", "text", "keep"),
        ("files-after-commit", "text", "delete"),
        ("files-after-rename", "text", "delete"),
        ("files-after-rename", "text", "move"),
        ("files-after-action", "text", "delete"),
        ("after-commit", "path", "move"),
    ],
)
def test_each_file_starts_one_execution_whenever_the_agent_is_killed(
    tmp_path: Path, point: str, format: str, then: str
) -> None:
    for passing in count(1):
        folder = tmp_path / f"{passing}"
        inbox = folder / "files" / "inbox"
        inbox.mkdir(parents=True)
        for name in "abc":
            (inbox / f"{name}.csv").write_text(name)
        ended = run(folder, format, then, crash_at=f"{point}:{passing}")
        if not ended:
            run(folder, format, then)
        found = started(folder)
        assert sorted(data["name"] for data in found) == ["a.csv", "b.csv", "c.csv"]
        left = sorted(path.relative_to(inbox).as_posix() for path in inbox.rglob("*") if path.is_file())
        moved = [f"done/{name}.csv" for name in "abc"]
        assert left == {"keep": ["a.csv", "b.csv", "c.csv"], "delete": [], "move": moved}[then]
        if format == "path":
            assert sorted(Path(str(data["path"])).read_text() for data in found) == ["a", "b", "c"]
        if ended:
            assert passing > 1
            return

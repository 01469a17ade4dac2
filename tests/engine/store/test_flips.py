"""Bytes that flip in real files: what they touch is set aside, everything else runs."""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from engine.contract import Done
from engine.events import Kind
from engine.states import ExecutionState
from engine.store import StoreBroken, StoreCorrupt

TEXT = """\
name: w
nodes:
  a: {type: act, data: "{{ trigger.data }}"}
  b: {type: act, data: "{{ nodes.a }}"}
outputs: "{{ nodes.b }}"
"""


async def forever(ctx, data):
    await asyncio.Event().wait()


async def interrupted(open_rig, tmp_path, size: int) -> tuple[Path, dict[str, str]]:
    """The files that a kill leaves in three executions, all in the database and nothing in the WAL; text -> id."""
    async with open_rig() as rig:
        rig.acts["b"] = forever
        await rig.deploy(TEXT)
        started = {name: await rig.start(data=name * size) for name in ("first-", "other-", "third-")}
        for execution in started.values():
            await rig.kind(Kind.NODE_STARTED, execution, "b")
        await rig.settled()
        copy = await rig.copy_to(tmp_path / "copy")
    db = sqlite3.connect(copy / "ganglion.db")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    db.close()
    return copy, started


def flip(folder: Path, text: bytes, *, which: int) -> None:
    """Change one bit where a text stands in the file for the n-th time."""
    content = bytearray((folder / "ganglion.db").read_bytes())
    at = -1
    for _ in range(which):
        at = content.find(text, at + 1)
        assert at >= 0, "the text is not there"
    content[at + 3] ^= 1
    (folder / "ganglion.db").write_bytes(content)


@pytest.mark.parametrize("which", [1, 2])
async def test_byte_that_flipped_sets_its_execution_aside_and_the_others_run(open_rig, tmp_path, which):
    """In the trigger, and in the output of the first node."""
    copy, started = await interrupted(open_rig, tmp_path, 20)
    flip(copy, b"other-" * 20, which=which)

    async with open_rig(copy) as rig:
        for name in ("first-", "third-"):
            assert (await rig.end(started[name])).status is ExecutionState.COMPLETED
        blocked = await rig.kind(Kind.WORKFLOW_BLOCKED, started["other-"])

        assert b"is damaged" in bytes(blocked.data)
        assert not any(call.execution == started["other-"] for call in rig.calls)
        shown = {info["execution"]: info for info in (await rig.ask("list"))["executions"]}
        assert shown[started["other-"]]["status"] == "blocked"
        assert "is damaged" in shown[started["other-"]]["error"]
        assert (await rig.steering.cancel(started["other-"])) is ExecutionState.CANCELLED


async def test_byte_that_flipped_in_a_large_value_sets_aside_who_needs_it(open_rig, tmp_path):
    copy, started = await interrupted(open_rig, tmp_path, 20_000)
    flip(copy, b"other-" * 50, which=2)  # past the trigger's pages, perhaps in them: both belong to it

    async with open_rig(copy) as rig:
        for name in ("first-", "third-"):
            assert (await rig.end(started[name])).status is ExecutionState.COMPLETED
        await rig.kind(Kind.WORKFLOW_BLOCKED, started["other-"])


async def test_damaged_page_that_is_to_be_written_stops_the_agent_and_the_next_start_refuses_it(
    open_rig, tmp_path, damage_leaf
):  # fmt: skip
    async def wide(ctx, data):
        return Done(data * 30)

    async with open_rig() as rig:
        rig.acts |= {"a": wide, "b": forever}
        await rig.deploy(TEXT)
        for execution in [await rig.start(data=f"{i:04}-" * 20) for i in range(60)]:
            await rig.kind(Kind.NODE_STARTED, execution, "b")
    damage_leaf(tmp_path / "ganglion.db", "nodes")

    with pytest.raises(ExceptionGroup) as caught:  # after an orderly stop nobody has looked at the whole file
        async with open_rig():
            await asyncio.wait_for(asyncio.Event().wait(), 20)
    assert caught.group_contains(StoreBroken, match="put a backup in its place with `ganglion restore FILE`")

    with pytest.raises(StoreCorrupt, match=r"nothing was run.*`ganglion restore FILE`"):
        async with open_rig():
            pass

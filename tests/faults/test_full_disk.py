"""A real file system that is full: nothing is acknowledged that is not kept, and it goes on by itself."""

import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.faults.agent import Agent
from tests.faults.conftest import Prepared
from tests.faults.patience import until
from tests.faults.siege import Siege

pytestmark = [pytest.mark.nats, pytest.mark.crash]
SIZE = "64m"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own."""
    path = tmp_path / "disk"
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(path)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"a file system can't be mounted here: {done.stderr.strip()}")
    yield path
    subprocess.run(["umount", "--lazy", str(path)], check=True)


def fill(disk: Path) -> None:
    """Take all the room there is."""
    with (disk / "filler").open("wb", buffering=0) as file:
        for size in (1024**2, 4096, 1):
            with suppress(OSError):
                while True:
                    file.write(b"x" * size)


@pytest.fixture
async def full(tmp_path: Path, prepared: Prepared, disk: Path) -> AsyncIterator[Siege]:
    """An agent that has worked, whose disk is full, and to which more was published."""
    async with Siege.open(
        tmp_path, sink_port=prepared.sink_port, deployed=prepared.data_dir, data_dir=disk / "data"
    ) as siege:
        assert await siege.agent.start()
        assert await siege.done(siege.publish(20))
        fill(disk)
        siege.publish(200)
        await until(state, siege.agent, "disk-full")
        yield siege


async def state(agent: Agent, wanted: str) -> bool:
    answer = await agent.ask("status")
    return answer is not None and answer["engine"]["state"] == wanted


async def test_a_full_disk_stops_the_intake_with_a_clear_state_and_room_starts_it_again(full, disk):
    agent = full.agent
    assert "disk-full" in (await agent.command("status")).out
    refused = await agent.command("trigger", "siege", "--data", '{"message": 999}')
    assert refused.code == 1
    assert "the disk is full: nothing was accepted" in refused.err
    assert full.publisher.acked < set(range(220)), "there was room for all: this says nothing"
    done = full.sink.calls.total()
    (disk / "filler").unlink()
    await until(state, agent, "running")
    assert await full.done()
    assert full.sink.calls.total() > done
    assert agent.starts == 1
    await full.check()
    assert full.sink.repeats == 0


async def test_what_was_acknowledged_on_a_full_disk_survives_a_kill(full, disk):
    agent = full.agent
    await agent.kill()
    await agent.spawn()
    assert await agent.ended() == 1, "it can't even write that it runs"
    assert "the disk is full" in agent.said().splitlines()[-1]
    (disk / "filler").unlink()
    assert await agent.start()
    await full.check()

"""Messages of one stream, shared by several agents: each is run once, by whoever has room."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import nats

from fleets.server import server

WARM_UP = 100
READY_SECONDS = 30.0
WORK = """\
name: work
triggers: [{nats: {subject: "jobs.>", stream: JOBS, at: hub, deliver: one}}]
nodes:
  a: {type: transform, data: "{{ trigger.data.x + 1 }}"}
  b: {type: transform, data: "{{ nodes.a + 1 }}"}
  c: {type: transform, data: "{{ nodes.b + 1 }}"}
outputs: "{{ nodes.c }}"
"""
GANGLION = Path(sys.executable).with_name("ganglion")


def rate(directory: Path, agents: int, messages: int) -> float:
    """Executions a second, from the first publish to the last completed fact at a subscriber."""
    with ExitStack() as stack:
        url = stack.enter_context(server(directory))
        asyncio.run(_prepare(url))
        for number in range(agents):
            stack.enter_context(agent(directory / f"agent{number}", f"agent{number}", url))
        return asyncio.run(_measure(url, messages))


async def _prepare(url: str) -> None:
    client = await nats.connect(url)
    await client.jetstream().add_stream(name="JOBS", subjects=["jobs.>"])
    await client.close()


@contextmanager
def agent(directory: Path, name: str, url: str, more: Mapping[str, str] = {}) -> Iterator[int]:
    """An installed agent on this server, with the workflow; its process id."""
    workflows = directory / "workflows"
    workflows.mkdir(parents=True)
    (workflows / "work.yaml").write_text(WORK)
    ready = directory / "ready.json"
    settings = {
        "GANGLION_MESH__MODE": "external", "GANGLION_MESH__URL": url, "GANGLION_AGENT__ID": name,
        "GANGLION_ENGINE__WORKFLOWS_DIR": str(workflows), "HOME": str(directory),
    }  # fmt: skip
    command = [str(GANGLION), "up", "--data-dir", str(directory / "data"), "--ready-file", str(ready)]
    with (
        (directory / "log").open("wb") as log,
        subprocess.Popen(command, env={**os.environ, **settings, **more}, stdout=log, stderr=log) as process,
    ):
        try:
            give_up = time.monotonic() + READY_SECONDS
            while not ready.exists():
                if process.poll() is not None or time.monotonic() > give_up:
                    raise SystemExit(f"{name} did not start:\n{(directory / 'log').read_text()}")
                time.sleep(0.01)
            yield process.pid
        finally:
            process.terminate()
            process.wait(30)


async def _measure(url: str, messages: int) -> float:
    client = await nats.connect(url)
    done, wanted = asyncio.Event(), WARM_UP
    seen: set[int] = set()

    async def completed(message: nats.aio.msg.Msg) -> None:
        seen.add(json.loads(message.data)["data"]["outputs"])
        if len(seen) >= wanted:
            done.set()

    await client.subscribe("ganglion.event.default.*.work.workflow.completed", cb=completed)
    await client.flush()
    for x in range(WARM_UP):
        await client.publish("jobs.x", b'{"x": %d}' % x)
    await asyncio.wait_for(done.wait(), 60)
    done.clear()
    wanted = WARM_UP + messages
    begin = time.perf_counter()
    for x in range(WARM_UP, wanted):
        await client.publish("jobs.x", b'{"x": %d}' % x)
    await asyncio.wait_for(done.wait(), 120)
    took = time.perf_counter() - begin
    await client.close()
    return messages / took

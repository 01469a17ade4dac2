"""A fleet of 100, 300 and 1,000 simulated agents against one recorder: what an agent costs it, and how it answers.

Each agent beats every 5 s and has one fact a second. The recorder is an installed `ganglion up` process on a plain
nats-server, with its file on the disk; its processor time and memory are the operating system's figures.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path

import msgspec
import psutil
from fleets.crowd import crowd, moment
from fleets.server import server
from fleets.triggers import GANGLION, agent
from measure.figures import US, Goal, median, show
from measure.rounds import arguments, file_system, real_disk, say

from engine.control.fleet_messages import (
    FleetAgentList,
    FleetAgents,
    FleetEvents,
    FleetStats,
    FleetWindows,
)
from mesh.client import ServiceClient

AGENTS = (100, 300, 1000)
SECONDS, SETTLE_SECONDS = 20.0, 6.0
ASKED = 9
CPU, MEMORY, BEHIND = "CPU for each agent", "memory", "recorded after"
ALL, SOME, FIGURES = "all agents", "failures of a workflow", "figures of an hour"
UNITS = {CPU: "µs/s", MEMORY: "MiB", BEHIND: "s", ALL: "ms", SOME: "ms", FIGURES: "ms"}
GOALS = {SOME: Goal(50, "less")}


class _Page(msgspec.Struct):
    """A `FleetEventList`, read."""

    events: list[dict[str, object]]


def main() -> None:
    options = arguments(__doc__ or "").parse_args()
    if not GANGLION.exists():
        sys.exit(f"there is no {GANGLION}: install Ganglion into this environment first, pip install -e .")
    values: dict[tuple[str, int], list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="ganglion-bench-", dir=real_disk(options.dir)) as place:
        for round in range(options.rounds):
            for agents in AGENTS:
                directory = Path(place) / f"{agents}-{round}"
                directory.mkdir()
                for figure, value in _measure(directory, agents).items():
                    values[figure, agents].append(value)
                    say(f"round {round + 1} of {options.rounds}: {agents} agents, {figure}: {value:,.1f}")
        title = f"thousand: median of {options.rounds} rounds, in turn, on {file_system(Path(place))} at {place}"
    rows = [
        median("thousand", US, f"{figure}, {agents:,} agents", values[figure, agents], unit, goal=GOALS.get(figure))
        for figure, unit in UNITS.items()
        for agents in AGENTS
    ]
    show(title, rows, as_json=options.json)


def _measure(directory: Path, agents: int) -> dict[str, float]:
    with ExitStack() as stack:
        url = stack.enter_context(server(directory))
        settings = {"GANGLION_FLEET__RECORD": "true"}
        recorder = stack.enter_context(agent(directory / "recorder", "recorder", url, settings))
        return asyncio.run(_live(url, agents, psutil.Process(recorder)))


async def _live(url: str, agents: int, recorder: psutil.Process) -> dict[str, float]:
    async with ServiceClient.open(url=url, agent="recorder") as client:
        async with crowd(url, agents) as people:
            await asyncio.sleep(SETTLE_SECONDS)
            before, begin = recorder.cpu_times(), time.perf_counter()
            await asyncio.sleep(SECONDS)
            after, end = recorder.cpu_times(), time.perf_counter()
            figures = {
                ALL: await _asked(client, "fleetagents", FleetAgents(), FleetAgentList),
                SOME: await _asked(
                    client, "fleetevents", FleetEvents(workflows=["door"], kinds=["workflow.failed"]), _Page
                ),
                FIGURES: await _asked(client, "fleetstats", FleetStats(since=moment(3600)), FleetWindows),
            }
        said = time.perf_counter()
        while True:
            if await _recorded(client) >= people.sent:
                break
            await asyncio.sleep(0.05)
        busy = (after.user + after.system) - (before.user + before.system)
    return figures | {
        CPU: busy / (end - begin) / agents * 1e6,
        MEMORY: recorder.memory_info().rss / 2**20,
        BEHIND: time.perf_counter() - said,
    }


async def _recorded(client: ServiceClient) -> int:
    """Facts of the crowd that are in the file."""
    total, after, more = 0, "", True
    while more:
        page = await client.call("fleetagents", FleetAgents(after=after), FleetAgentList)
        total += sum(one.events for one in page.agents if one.agent != "recorder")
        after, more = page.agents[-1].agent, page.more
    return total


async def _asked(client: ServiceClient, verb: str, request: msgspec.Struct, answer: type[msgspec.Struct]) -> float:
    """Milliseconds until the answer, over NATS."""
    took = []
    for _ in range(ASKED):
        begin = time.perf_counter()
        await client.call(verb, request, answer)
        took.append(1000 * (time.perf_counter() - begin))
    return statistics.median(took)


if __name__ == "__main__":
    main()

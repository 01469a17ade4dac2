"""Whatever comes, ends, pauses and restarts in whatever order: the promises of a flow hold."""

import asyncio
import contextlib
import itertools
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.contract import Context, Done, Outcome
from engine.states import FINISHED, ExecutionState, IllegalMove
from engine.store import executions, turns
from engine.values import Json

TEXT = """
name: w
flow: {concurrency: 3, key: trigger.data.k, priority: trigger.data.p}
nodes:
  a: {type: act, data: "{{ trigger.data }}"}
"""
KEYS = ("x", "y", "z")
steps = st.one_of(
    st.tuples(st.just("start"), st.sampled_from(KEYS), st.integers(-10, 10)),
    st.tuples(st.just("end"), st.integers(0, 5), st.just(0)),
    st.tuples(st.sampled_from(["pause", "resume", "cancel"]), st.integers(0, 30), st.just(0)),
    st.tuples(st.just("restart"), st.just(0), st.just(0)),
)


class World:
    """What nodes do, over restarts; it checks the promises at each start."""

    def __init__(self) -> None:
        self.running: dict[str, tuple[str, int]] = {}
        self.begun: dict[str, int] = {}
        """The order in which executions first began, by their number n."""
        self.held: set[str] = set()
        self.free = False
        self.changed = asyncio.Event()

    async def act(self, ctx: Context, data: dict[str, Json]) -> Outcome:
        assert len(self.running) < 3, "more than the concurrency"
        assert data["k"] not in {key for key, _ in self.running.values()}, "two of one key at once"
        self.running[ctx.execution] = (data["k"], data["n"])
        self.begun.setdefault(ctx.execution, data["n"])
        try:
            while not (self.free or ctx.execution not in self.running):
                await self.changed.wait()
        finally:
            self.running.pop(ctx.execution, None)
        return Done(data["n"])

    def tell(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(steps, min_size=5, max_size=40))
def test_one_at_a_time_per_key_in_order_of_intake_and_everything_ends(
    tmp_path: Path, open_rig, idle, plan: list[tuple[str, Json, int]]
) -> None:
    folder = tmp_path / str(next(_folders))
    asyncio.run(asyncio.wait_for(play(open_rig, idle, folder, plan), 60))


_folders = itertools.count()


async def play(open_rig, idle, folder: Path, plan: list[tuple[str, Json, int]]) -> None:
    world, ids, keys = World(), list[str](), dict[str, str]()
    lives = [[]]
    for step in plan:
        if step[0] == "restart":
            lives.append([])
        else:
            lives[-1].append(step)
    for life, steps_of_life in enumerate(lives):
        world.running.clear()
        async with open_rig(folder) as rig:
            rig.acts["a"] = world.act
            if life == 0:
                await rig.deploy(TEXT)
            for verb, what, priority in steps_of_life:
                if verb == "start":
                    id = await rig.start(data={"k": what, "p": priority, "n": len(ids)})
                    ids.append(id)
                    keys[id] = what
                elif verb == "end" and len(world.running) > what:
                    world.running.pop(list(world.running)[what])
                    world.tell()
                elif verb in ("pause", "resume", "cancel") and len(ids) > what:
                    with contextlib.suppress(IllegalMove):
                        await getattr(rig.steering, verb)(ids[what])
                await idle(rig, 2)
            if life == len(lives) - 1:
                await everything_ends(rig, world, ids, idle)
    for key in KEYS:
        order = [n for id, n in world.begun.items() if keys[id] == key]
        assert order == sorted(order), f"{key} began out of order"


async def everything_ends(rig, world: World, ids: list[str], idle) -> None:
    world.free = True
    world.tell()
    for id in ids:
        row = await rig.row(id)
        if row.status is ExecutionState.PAUSED:
            await rig.steering.resume(id)
    while True:
        rows = [await rig.row(id) for id in ids]
        if all(row.status in FINISHED for row in rows):
            break
        for row in rows:
            if row.status is ExecutionState.PAUSED:  # a pause came into effect late
                await rig.steering.resume(row.id)
        await idle(rig, 2)
    await idle(rig)
    assert await rig.store.read(turns.counts) == {}
    assert rig.executor.lines.waiting == 0
    line = rig.executor.lines.line("w")
    assert line is None or (line.running, line.waiting) == (0, 0)
    assert await rig.store.read(executions.count_by_state) == {}

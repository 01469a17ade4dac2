"""An effect never starts before the commit of all that it was built from, pure ancestors included."""

import asyncio
import threading

import pytest

from engine.contract import Done


class HeldWriter:
    """Holds the writer's thread inside a unit, so that what comes after is not committed until `release`."""

    def __init__(self, store) -> None:
        self._release = threading.Event()
        self._reached = asyncio.Event()
        loop = asyncio.get_running_loop()

        def hold(tx) -> None:
            loop.call_soon_threadsafe(self._reached.set)
            self._release.wait(30)

        self.done = store.submit(hold)

    async def reached(self) -> None:
        await self._reached.wait()

    def release(self) -> None:
        self._release.set()


async def turns(count: int = 50) -> None:
    """Let everything that is ready run."""
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("between", "needs"),
    [
        ("", "first"),
        ("  p: {type: calc, data: '{{ nodes.first }}'}\n", "p"),
        ("  p: {type: calc, data: '{{ nodes.first }}'}\n  q: {type: calc, data: '{{ nodes.p }}'}\n", "q"),
        ("  p: {type: if, condition: nodes.first == 1}\n", "p.then"),
        ("  p: {type: calc, needs: first, when: 'false'}\n  q: {type: calc, needs: p, run_if: always}\n", "q"),
    ],
    ids=["direct", "pure between", "two pure between", "a branch between", "a skip between"],
)
async def test_effect_waits_for_the_commit_of_all_its_ancestors(rig, between, needs):
    held = None
    returned = asyncio.Event()

    async def first(ctx, data):
        nonlocal held
        held = HeldWriter(rig.store)
        await held.reached()
        returned.set()
        return Done(1)

    rig.acts["first"] = first
    await rig.deploy(f"name: w\nnodes:\n  first: {{type: act}}\n{between}  effect: {{type: act, needs: {needs}}}\n")
    execution = await rig.start()
    await returned.wait()
    await turns()
    assert held is not None
    assert rig.called("effect") == 0

    held.release()
    await rig.end(execution)

    assert rig.called("effect") == 1


async def test_pure_root_does_not_hold_its_effect_from_the_commit_either(rig):
    at_pure = asyncio.Event()
    release: list[HeldWriter] = []

    async def pure(ctx, data):
        release.append(HeldWriter(rig.store))
        at_pure.set()
        return Done(1)

    rig.acts["pure"] = pure
    await rig.deploy("name: w\nnodes:\n  pure: {type: calc}\n  effect: {type: act, needs: pure}\n")
    execution = await rig.start()
    await at_pure.wait()
    await release[0].reached()
    await turns()
    assert rig.called("effect") == 0

    release[0].release()
    await rig.end(execution)

    assert rig.called("effect") == 1


async def test_pure_nodes_do_not_wait_for_a_commit(rig):
    held = None
    ran = asyncio.Event()

    async def first(ctx, data):
        nonlocal held
        held = HeldWriter(rig.store)
        await held.reached()
        return Done(1)

    async def pure(ctx, data):
        ran.set()
        return Done(2)

    rig.acts |= {"first": first, "pure": pure}
    await rig.deploy("name: w\nnodes:\n  first: {type: act}\n  pure: {type: calc, needs: first}\n")
    execution = await rig.start()
    await ran.wait()
    assert held is not None
    assert not held.done.done()

    held.release()
    await rig.end(execution)

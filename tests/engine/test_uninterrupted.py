import asyncio

import pytest

from engine.uninterrupted import uninterrupted


async def test_result_and_error_pass():
    async def good():
        return 7

    async def bad():
        raise KeyError("x")

    assert await uninterrupted(good()) == 7
    with pytest.raises(KeyError):
        await uninterrupted(bad())


@pytest.mark.parametrize("times", [1, 3])
async def test_cancellation_waits_for_the_end(times):
    gate, steps = asyncio.Event(), []

    async def work():
        await gate.wait()
        steps.append("done")

    caller = asyncio.create_task(uninterrupted(work()))
    for _ in range(times):
        await asyncio.sleep(0)
        caller.cancel()
        await asyncio.sleep(0)
    assert not caller.done()

    gate.set()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert steps == ["done"]


async def test_error_of_work_whose_caller_was_cancelled_is_not_left_over():
    gate = asyncio.Event()

    async def work():
        await gate.wait()
        raise KeyError("x")

    caller = asyncio.create_task(uninterrupted(work()))
    await asyncio.sleep(0)
    caller.cancel()
    gate.set()
    with pytest.raises(asyncio.CancelledError):
        await caller

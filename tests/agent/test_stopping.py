import asyncio

from agent.stopping import Stopping


async def test_a_stop_has_no_patience() -> None:
    stopping = Stopping()
    running = asyncio.create_task(asyncio.Event().wait())
    stopping.stop()
    await asyncio.wait_for(stopping.patience(running), 5)  # type: ignore[arg-type]
    assert stopping.asked.is_set()
    running.cancel()


async def test_a_drain_waits_until_nothing_runs() -> None:
    stopping, gate = Stopping(), asyncio.Event()
    running = asyncio.create_task(gate.wait())
    stopping.drain(None)
    waiting = asyncio.create_task(stopping.patience(running))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    assert not waiting.done()
    gate.set()
    await asyncio.wait_for(waiting, 5)


async def test_a_drain_ends_when_its_time_is_over_or_a_signal_comes() -> None:
    for hurry in (lambda stopping: stopping.drain(0.0), lambda stopping: stopping.stop()):
        stopping = Stopping()
        running = asyncio.create_task(asyncio.Event().wait())
        stopping.drain(3600.0)
        waiting = asyncio.create_task(stopping.patience(running))  # type: ignore[arg-type]
        await asyncio.sleep(0)
        hurry(stopping)
        await asyncio.wait_for(waiting, 5)
        running.cancel()


def test_the_first_reason_to_give_up_counts() -> None:
    stopping = Stopping()
    first = RuntimeError("one")
    stopping.give_up(first)
    stopping.give_up(RuntimeError("two"))
    assert stopping.error is first
    assert stopping.asked.is_set()

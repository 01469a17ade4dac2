"""Generations that say nothing, that go on when they should not, and those that never end."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from plugins.llm.conversation import Reply
from plugins.llm.errors import ModelError, Trouble
from plugins.llm.service.liveness import Hearing, attended

LOOK = 0.005


class Watched:
    """One generation under watch."""

    def __init__(self, clock: Any, asker: Any) -> None:
        self.clock, self.asker = clock, asker
        self.hearing = Hearing(asker, clock)
        self.stuck = 0

    async def reply(self, generation: Any, *, stall: float = 10.0, patience: float = 0.05) -> Reply:
        return await attended(
            generation, self.hearing, model="m", stall=stall, stuck=self._stuck, patience=patience, look=LOOK
        )

    def _stuck(self) -> None:
        self.stuck += 1


@pytest.fixture
def watched(clock: Any, asking: Callable[..., Any]) -> Watched:
    return Watched(clock, asking())


async def test_reply_is_handed_on(watched: Watched) -> None:
    async def answer() -> Reply:
        watched.hearing.heard("x")
        return Reply(text="x")

    assert (await watched.reply(answer())).text == "x"
    assert watched.asker.texts == ["x"]
    assert watched.hearing.has_text


async def test_silence_for_too_long_ends_a_generation(watched: Watched) -> None:
    cancelled = asyncio.Event()

    async def hang() -> Reply:
        watched.clock.seconds += 10.0
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        raise AssertionError

    with pytest.raises(ModelError, match=r"model m: nothing was heard of it for 10 s; .* `stall`") as caught:
        await watched.reply(hang())
    assert caught.value.trouble is Trouble.STALLED
    assert cancelled.is_set()
    assert watched.stuck == 0


async def test_sign_of_life_counts_even_without_text(watched: Watched) -> None:
    async def slow() -> Reply:
        for _ in range(5):
            watched.clock.seconds += 9.0
            watched.hearing.heard("")
            await asyncio.sleep(2 * LOOK)
        return Reply(text="at last")

    assert (await watched.reply(slow())).text == "at last"
    assert not watched.hearing.has_text


async def test_without_a_limit_silence_is_no_reason(watched: Watched) -> None:
    async def silent() -> Reply:
        watched.clock.seconds += 1e6
        await asyncio.sleep(3 * LOOK)
        return Reply(text="x")

    assert (await watched.reply(silent(), stall=0)).text == "x"


async def test_generation_that_does_not_end_is_let_go_and_told(watched: Watched) -> None:
    released = asyncio.Event()

    async def deaf() -> Reply:
        watched.clock.seconds += 10.0
        try:
            await released.wait()
        except asyncio.CancelledError:
            await released.wait()  # as native code that hangs
        return Reply()

    with pytest.raises(ModelError) as caught:
        await watched.reply(deaf())
    assert caught.value.trouble is Trouble.STALLED
    assert watched.stuck == 1
    watched.hearing.heard("too late")
    assert watched.asker.texts == []
    assert watched.hearing.stopped


async def test_cancelled_asker_leaves_when_the_generation_has_ended(watched: Watched) -> None:
    ended = asyncio.Event()

    async def tidy() -> Reply:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(2 * LOOK)
            ended.set()
        raise AssertionError

    task = asyncio.create_task(watched.reply(tidy(), patience=5))
    await asyncio.sleep(LOOK)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()
    assert watched.stuck == 0


async def test_error_of_the_generation_is_raised_as_it_is(watched: Watched) -> None:
    async def fail() -> Reply:
        raise ModelError(Trouble.REFUSED, "no")

    with pytest.raises(ModelError, match="no"):
        await watched.reply(fail())

"""Who is served when, with one model that many ask."""

import asyncio

import pytest

from plugins.llm.errors import ModelError, Trouble
from plugins.llm.service.turns import Turns


class Served:
    """Askers at one model, in the order in which they had their turns."""

    def __init__(self, turns: Turns, asking: type) -> None:
        self.turns, self.asking = turns, asking
        self.order: list[str] = []
        self.askers: dict[str, object] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.ends: dict[str, asyncio.Event] = {}

    async def ask(self, name: str) -> None:
        """`a1` is the first question of execution `a`; it keeps its turn until `end`."""
        asker = self.askers[name] = self.asking(name[0])
        self.ends[name] = asyncio.Event()
        self.tasks[name] = asyncio.create_task(self._ask(name, asker))
        await asyncio.sleep(0)

    async def _ask(self, name: str, asker: object) -> None:
        async with self.turns.turn(asker):
            self.order.append(name)
            await self.ends[name].wait()

    async def end(self, name: str) -> None:
        self.ends[name].set()
        await self.tasks[name]
        await asyncio.sleep(0)

    async def end_all(self) -> None:
        while len(self.order) < len(self.tasks) or not all(task.done() for task in self.tasks.values()):
            for name in self.order:
                self.ends[name].set()
            await asyncio.sleep(0)


@pytest.fixture
def served(asking: type) -> Served:
    return Served(Turns("m", places=1, queue=20, pause=0), asking)


async def test_executions_take_turns_and_within_one_the_first_comes_first(served: Served) -> None:
    for name in ("a1", "a2", "a3", "a4", "b1", "b2", "c1"):
        await served.ask(name)
    await served.end_all()
    assert served.order == ["a1", "a2", "b1", "c1", "a3", "b2", "a4"]


async def test_one_that_comes_late_waits_for_one_turn_of_each_of_the_others(served: Served) -> None:
    for number in range(1, 6):
        await served.ask(f"a{number}")
    await served.ask("b1")
    await served.end("a1")
    await served.end("a2")
    assert served.order == ["a1", "a2", "b1"]
    await served.end_all()


async def test_who_waits_is_told_how_many_come_before_and_of_each_step_up(served: Served) -> None:
    for name in ("a1", "a2", "a3", "b1"):
        await served.ask(name)
    told = {name: served.askers[name].reason for name in served.askers}
    assert told == {
        "a1": "",
        "a2": "model m, 1 before it",
        "a3": "model m, 3 before it",
        "b1": "model m, 2 before it",
    }
    await served.end("a1")
    assert {name: served.askers[name].reason for name in ("a2", "a3", "b1")} == {
        "a2": "",
        "a3": "model m, 2 before it",
        "b1": "model m, 1 before it",
    }
    await served.end_all()
    assert served.askers["a3"].reasons == [
        "model m, 2 before it",
        "model m, 3 before it",
        "model m, 2 before it",
        "model m, 1 before it",
    ]


async def test_several_places_are_all_taken(asking: type) -> None:
    served = Served(Turns("m", places=3, queue=20, pause=0), asking)
    for name in ("a1", "a2", "a3", "a4"):
        await served.ask(name)
    assert (served.order, served.turns.running, served.turns.waiting) == (["a1", "a2", "a3"], 3, 1)
    await served.end("a2")
    assert served.order[-1] == "a4"
    await served.end_all()
    assert (served.turns.running, served.turns.waiting) == (0, 0)


async def test_full_queue_refuses_with_what_to_do(asking: type) -> None:
    served = Served(Turns("m", places=1, queue=1, pause=0), asking)
    await served.ask("a1")
    await served.ask("b1")
    await served.ask("c1")
    with pytest.raises(ModelError, match=r"model m: 1 already wait for it.* or raise `queue`") as caught:
        await served.tasks["c1"]
    assert caught.value.trouble is Trouble.BUSY
    assert caught.value.passing
    del served.tasks["c1"]
    await served.end_all()


async def test_cancelled_waiter_leaves_and_the_others_move_up(served: Served) -> None:
    for name in ("a1", "b1", "c1"):
        await served.ask(name)
    served.tasks["b1"].cancel()
    with pytest.raises(asyncio.CancelledError):
        await served.tasks["b1"]
    assert served.askers["b1"].reason == ""
    assert served.askers["c1"].reason == "model m, 1 before it"
    await served.end("a1")
    assert served.order == ["a1", "c1"]
    await served.end("c1")
    assert (served.turns.running, served.turns.waiting) == (0, 0)


async def test_turn_that_comes_together_with_a_cancellation_goes_to_the_next(served: Served) -> None:
    for name in ("a1", "b1", "c1"):
        await served.ask(name)
    served.ends["a1"].set()
    await asyncio.sleep(0)  # a1 gives its turn back, b1 has it and does not know yet
    served.tasks["b1"].cancel()
    with pytest.raises(asyncio.CancelledError):
        await served.tasks["b1"]
    await served.end("c1")
    assert served.order == ["a1", "c1"]
    assert (served.turns.running, served.turns.waiting) == (0, 0)


async def test_waiter_of_a_cancelled_execution_is_swept_out(served: Served) -> None:
    await served.ask("a1")
    await served.ask("b1")
    served.askers["b1"].stopped = True
    served.turns.sweep()
    with pytest.raises(ModelError) as caught:
        await served.tasks["b1"]
    assert caught.value.trouble is Trouble.STOPPED
    assert not caught.value.elsewhere
    await served.end("a1")


async def test_error_within_a_turn_gives_it_back(asking: type) -> None:
    turns = Turns("m", places=1, queue=1)
    with pytest.raises(ValueError, match="mine"):
        async with turns.turn(asking()):
            raise ValueError("mine")
    assert turns.running == 0


async def test_many_turns_in_a_moment_are_told_once(asking: type) -> None:
    served = Served(Turns("m", places=1, queue=20, pause=1000.0), asking)
    for name in ("a1", "b1", "c1", "d1"):
        await served.ask(name)
    await served.end("a1")
    await served.end("b1")
    assert served.order == ["a1", "b1", "c1"]
    assert served.askers["d1"].reasons == ["model m, 3 before it"]
    await served.end_all()

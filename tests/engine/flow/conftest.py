"""Node code that stays until the test lets it go, by what its message said."""

import asyncio

import pytest

from engine.contract import Context, Done, Outcome
from engine.values import Json


class Gate:
    """Each attempt stays until its data is let go, or everything is."""

    def __init__(self) -> None:
        self.began: list[Json] = []
        """What began, in order."""
        self.running: list[Json] = []
        self.most = 0
        self._free: set[str] = set()
        self._all = False
        self._changed = asyncio.Event()

    async def __call__(self, ctx: Context, data: Json) -> Outcome:
        self.began.append(data)
        self.running.append(data)
        self.most = max(self.most, len(self.running))
        self._tell()
        while not (self._all or str(data) in self._free):
            await self._wait()
        self.running.remove(data)
        self._tell()
        return Done(data)

    def let_go(self, *data: Json) -> None:
        self._free |= {str(one) for one in data}
        self._tell()

    def open(self) -> None:
        self._all = True
        self._tell()

    async def until(self, count: int) -> list[Json]:
        """Until so many have begun."""
        async with asyncio.timeout(20):
            while len(self.began) < count:
                await self._wait()
        return self.began

    async def _wait(self) -> None:
        await self._changed.wait()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def idle():
    """`await idle(rig)`: everything that can happen now without the test has happened."""

    async def wait(rig, rounds: int = 6) -> None:
        for _ in range(rounds):
            await rig.settled()
            await rig.store.read(lambda db: None)
            await asyncio.sleep(0)

    return wait

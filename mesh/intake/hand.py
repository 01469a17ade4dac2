"""What all lanes of a pump have in hand: come, and not taken in yet. These will need slots, and have none so far."""

import asyncio


class Hand:
    """Counts them, so that lanes which fetch at the same moment do not count on the same slots."""

    def __init__(self) -> None:
        self.count = 0
        self._less = asyncio.Event()

    def take(self) -> None:
        """One more has come."""
        self.count += 1

    def let_go(self, count: int) -> None:
        """So many were taken in, or given back."""
        if count:
            self.count -= count
            self._less.set()
            self._less = asyncio.Event()

    async def wait_for_less(self) -> None:
        """Until some of them are let go."""
        if self.count > 0:
            await self._less.wait()


class Share:
    """One lane's part of the hand."""

    def __init__(self, hand: Hand) -> None:
        self._hand = hand
        self.count = 0

    @property
    def of_others(self) -> int:
        """What the other lanes have in hand."""
        return self._hand.count - self.count

    def take(self) -> None:
        """One more has come."""
        self.count += 1
        self._hand.take()

    def let_go(self, count: int) -> None:
        """So many were taken in, or given back."""
        self.count -= count
        self._hand.let_go(count)

"""Asks agents for the facts that have not come: the stream may have lost them, their outboxes may still have them.

A gap is left alone for a moment, because facts may come in another order. Then its agent is asked for it, again and
again with growing pauses while it is away. What an agent says that it keeps no more is given up, once the stream has
been read to its end: it might have been there.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress

from engine.clock import Clock
from engine.fleet.event import FleetEvent, Gap
from engine.fleet.store import FleetStore
from engine.store import StoreFull
from mesh.connection import Connection, Link
from mesh.recorder.answers import PAGE, NoAnswer, Page, ask_for

_logger = logging.getLogger("ganglion.mesh")
LOOK_SECONDS = 1.0
"""How often it is looked whether a gap is due."""
REORDER_SECONDS = 3.0
"""How old a gap is when it is asked for first."""
LOST_SECONDS = 30.0
"""How old it is at least when it is given up: longer than the stream takes to deliver again what got lost."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 5.0, 600.0
AT_ONCE = 4
"""Agents that are asked at the same time, each for one page after the other."""
MOST = 5000
"""Gaps in one look."""
MOST_PAGES = 1000
"""Of one gap in one look; the next look goes on."""
EVER = 2**62
"""Later than any time."""

Record = Callable[[Sequence[FleetEvent]], Awaitable[None]]
Report = Callable[[Gap], Awaitable[None]]
"""Tells of facts that were given up, and why (`lost`)."""


class Asker:
    """Asks for the gaps of a store; `run` is its service."""

    def __init__(
        self,
        connection: Connection,
        store: FleetStore,
        *,
        tenant: str,
        clock: Clock,
        record: Record,
        report: Report,
        is_behind: Callable[[], bool],
        tails: Callable[[], Sequence[Gap]],
    ) -> None:
        """`tails`: facts behind the newest recorded one that agents say they have, and that should be here by now. They
        are asked for too, but never given up: with the next fact they become a gap."""
        self._connection = connection
        self._store = store
        self._tenant = tenant
        self._clock = clock
        self._record = record
        self._report = report
        self._is_behind = is_behind
        self._tails = tails
        self._back: set[str] = set()
        """Agents that were away: their gaps are due, whatever pause they have."""

    def hurry(self, agents: Iterable[str]) -> None:
        """These agents are back: they keep what streams have acknowledged for minutes only."""
        self._back.update(agents)

    async def run(self) -> None:
        """Ask until cancelled."""
        await self._connection.serve(self._work, name="asking for facts")

    async def _work(self, link: Link) -> None:
        while True:
            try:
                await self.ask(link)
            except* StoreFull:
                _logger.debug("the disk is full: facts are asked for when there is room")
            await asyncio.sleep(LOOK_SECONDS)

    async def ask(self, link: Link) -> None:
        """One look: ask for everything that is due. Raises LOST."""
        if self._is_behind():
            return
        now = self._clock.now()
        wanted: dict[str, list[Gap]] = defaultdict(list)
        back, self._back = self._back, set()
        for gap in await self._store.gaps(due=EVER if back else now, limit=MOST):
            if now - gap.since >= REORDER_SECONDS * 1_000_000 and (gap.due <= now or gap.agent in back):
                wanted[gap.agent].append(gap)
        tails = {tail.agent: tail for tail in self._tails()}
        few = asyncio.Semaphore(AT_ONCE)

        async def ask(agent: str) -> None:
            async with few:
                await self._ask_agent(link, agent, wanted.get(agent, []))
                if agent in tails:
                    await self._ask_for_tail(link, tails[agent])

        async with asyncio.TaskGroup() as tasks:
            for agent in wanted.keys() | tails.keys():
                tasks.create_task(ask(agent), name=f"asking {agent}")

    async def _ask_for_tail(self, link: Link, tail: Gap) -> None:
        with suppress(NoAnswer):
            page = await ask_for(link.nc, self._tenant, tail.agent, after=tail.first - 1, limit=PAGE)
            await self._record(page.events)

    async def _ask_agent(self, link: Link, agent: str, gaps: list[Gap]) -> None:
        for number, gap in enumerate(gaps):
            try:
                await self._ask_for(link, gap)
            except NoAnswer as error:
                _logger.debug("facts of the agent %s are missing, and %s", agent, error)
                await self._put_off(*gaps[number:])
                return

    async def _ask_for(self, link: Link, gap: Gap) -> None:
        """Go through a gap page by page. Raises NoAnswer."""
        after = gap.first - 1
        for _ in range(MOST_PAGES):
            page = await ask_for(link.nc, self._tenant, gap.agent, after=after, limit=min(gap.last - after, PAGE))
            if page.events:
                await self._record(page.events)
            if await self._is_closed(gap, page, after):
                return
            if page.through <= after:
                await self._put_off(gap)
                return
            after = page.through
            if after >= gap.last:
                return

    async def _is_closed(self, gap: Gap, page: Page, after: int) -> bool:
        """Give up what is gone for certain; whether there is nothing more to ask for."""
        another = bool(page.epoch) and page.epoch != gap.epoch
        gone = [(after + 1, gap.last)] if another else page.gone(after, gap) if page.epoch else []
        if not gone:
            return False
        if self._clock.now() - gap.since < LOST_SECONDS * 1_000_000 or self._is_behind():
            await self._put_off(gap)
            return True
        reason = (
            f"the agent's store is another one now, of epoch {page.epoch}"
            if another
            else "the agent keeps them no more: every stream had acknowledged them"
        )
        for first, last in gone:
            await self._store.give_up(gap, first, last, reason)
            await self._report(Gap(agent=gap.agent, epoch=gap.epoch, first=first, last=last, lost=reason))
        return another

    async def _put_off(self, *gaps: Gap) -> None:
        """Ask for these gaps of an agent again after a pause, which is that of the least tried: one commit for each
        epoch, since an agent that is away may have thousands of gaps."""
        now = self._clock.now()
        for epoch in {gap.epoch for gap in gaps}:
            some = [gap for gap in gaps if gap.epoch == epoch]
            tries = min(gap.tries for gap in some)
            pause = min(FIRST_PAUSE_SECONDS * 2 ** min(tries, 10), LONGEST_PAUSE_SECONDS)
            whole = Gap(
                agent=some[0].agent, epoch=epoch, first=min(gap.first for gap in some),
                last=max(gap.last for gap in some),
            )  # fmt: skip
            await self._store.asked(whole, due=now + round(pause * 1_000_000))

"""What happens to executions of one workflow starts executions of another: each event once.

The facts are read in their order, behind a position that is a row; it moves on in the same commit that makes the
executions. So a fact that was committed starts what it has to start whenever the process dies, and never twice; facts
behind a position are kept until it has passed them. A new trigger starts at the newest fact.
"""

import asyncio
import logging

import msgspec

from engine.crash import crash_point
from engine.definition.model import WorkflowTrigger
from engine.events import Event, Identity
from engine.signal import Signal
from engine.store import Store, StoreCorrupt, Transaction, chains, deadletters, executions
from engine.store.deadletters import DeadLetter
from engine.store.executions import ExecutionRow
from engine.store.outbox import Outbox
from engine.triggers.admission import Admission
from engine.triggers.chain import Chain
from engine.triggers.routes import Routes

__all__ = ["Chained"]

LOOK_SECONDS = 30.0
"""How often facts are looked for at least; a commit with some of concern tells at once."""
BATCH = 64
"""Facts looked at in one step."""
MAX_BEHIND = 1000
"""Facts of no concern after which a position is written down all the same, so that they may go."""

_log = logging.getLogger(__name__)


class _Step(msgspec.Struct):
    """What one chain makes of some facts."""

    chain: Chain
    seq: int
    rows: list[ExecutionRow]
    letters: list[DeadLetter]


class Chained:
    """The service of the chains: `follow` the routes after each deploy and undeploy, and `run`."""

    def __init__(self, store: Store, outbox: Outbox, admission: Admission, identity: Identity) -> None:
        self.counters = {"started": 0, "dead": 0}
        """Executions and dead letters made since the start."""
        self._store = store
        self._outbox = outbox
        self._admission = admission
        self._identity = identity
        self._signal = Signal()
        self._turn = asyncio.Lock()
        """A step and a change of the chains never overlap."""
        self._chains: list[Chain] = []
        self._sources: frozenset[str] = frozenset()
        store.listeners.append(self._told)

    async def follow(self, routes: Routes) -> None:
        """Make the rows those of the active workflows: new chains start at the newest fact, known ones go on where they
        were, others go. Call it at boot and after each deploy and undeploy; waits out a full disk."""
        async with self._turn:
            await self._follow(routes)
        self._signal.set()

    async def run(self) -> None:
        """Start what events ask for, until cancelled. Raises StoreBroken; a full disk is waited out."""
        while True:
            async with self._turn:
                more = await self._look()
            if not more:
                await self._signal.wait(LOOK_SECONDS)

    def _told(self, facts: list[Event]) -> None:
        if self._sources and any(fact.workflow in self._sources for fact in facts):
            self._signal.set()

    async def _follow(self, routes: Routes) -> None:
        found = [
            Chain(active, source)
            for active in routes.active.values()
            for source in dict.fromkeys(
                one.name for one in active.workflow.triggers if isinstance(one, WorkflowTrigger)
            )
        ]
        # What was looked at in this life and was of no concern stays so under the new definition.
        seen = {chain.key: chain.seen for chain in self._chains}
        wanted = {chain.key for chain in found}

        def unit(tx: Transaction) -> list[int]:
            chains.forget_inactive(tx)
            known = chains.listing(tx)
            # The row of a definition that can't be loaded now stays: it will go on from there.
            chains.forget(tx, [key for key in known if key[0] in routes.active and key not in wanted])
            return [
                chains.put(tx, *key, max(known[key], seen.get(key, 0))) if key in known else chains.begin(tx, *key)
                for key in (chain.key for chain in found)
            ]

        for chain, seq in zip(found, await self._store.submit(unit), strict=True):
            chain.seen = chain.stored = seq
        self._chains = found
        self._sources = frozenset(chain.source for chain in found)

    async def _look(self) -> bool:
        """One step through the facts; False if there are no more."""
        if not self._chains:
            return False
        facts = await self._outbox.facts_after(min(chain.seen for chain in self._chains), BATCH)
        if not facts:
            return False
        steps: list[_Step] = []
        for chain in self._chains:
            mine = [fact for fact in facts if fact.seq > chain.seen and chain.concerns(fact)]
            last = max(chain.seen, facts[-1].seq)
            if mine or last - chain.stored > MAX_BEHIND:
                steps.append(await self._step(chain, mine, last))
            else:
                chain.seen = last
        if steps:
            await self._commit(steps)
        return True

    async def _step(self, chain: Chain, facts: list[Event], seq: int) -> _Step:
        step = _Step(chain, seq, [], [])
        for fact in facts:
            made = chain.make(
                fact,
                await self._cause(fact.execution),
                id=self._identity.event_id(fact.seq),
                now=self._store.clock.now(),
            )
            if isinstance(made, ExecutionRow):
                step.rows.append(made)
            elif made is not None:
                _log.error("%s: an event of %s starts nothing: %s", chain.active.name, chain.source, made.reason)
                step.letters.append(made)
        return step

    async def _cause(self, execution: str) -> ExecutionRow | None:
        try:
            return await self._store.read(lambda db: executions.get(db, execution))
        except StoreCorrupt as damage:
            _log.error("%s", damage)
            return None

    async def _commit(self, steps: list[_Step]) -> None:
        def unit(tx: Transaction) -> list[bool]:
            moved: list[bool] = []
            for step in steps:
                chain = step.chain
                ours = chains.advance(tx, *chain.key, seq=chain.stored, next_seq=step.seq)
                if ours:
                    for row in step.rows:
                        executions.create(tx, row)
                    for letter in step.letters:
                        deadletters.bury(tx, letter)
                moved.append(ours)
            crash_point("chain-before-commit")
            return moved

        moved = await self._store.submit(unit)
        crash_point("chain-after-commit")
        for step, ours in zip(steps, moved, strict=True):
            step.chain.seen = step.seq
            if not ours:  # undeployed a moment ago: whoever did it lets us follow next
                continue
            step.chain.stored = step.seq
            self.counters["started"] += len(step.rows)
            self.counters["dead"] += len(step.letters)
            if step.rows:
                self._admission.admit(step.rows)

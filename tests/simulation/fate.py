"""What happens to the machine and to its executions at the times that the scenario names, whoever lives then."""

import asyncio
from collections import Counter

from engine.store import Transaction
from tests.simulation.clock import MachineClock
from tests.simulation.disk import Disk
from tests.simulation.people import People
from tests.simulation.scenario import Happening, Scenario


class Fate:
    """Goes through the happenings of a scenario, across deaths."""

    def __init__(self, scenario: Scenario, disk: Disk, clock: MachineClock) -> None:
        self.hits: Counter[str] = Counter()
        self._coming = list(scenario.happenings)
        self._disk = disk
        self._clock = clock

    def catch_up(self) -> None:
        """Nobody lived when these happened: only the machine feels them."""
        while self._coming and self._coming[0].at <= self._clock.seconds:
            self._machine(self._coming.pop(0))

    async def run(self, people: People) -> None:
        """Let things happen to a living engine."""
        while self._coming:
            await asyncio.sleep(max(0.0, self._coming[0].at - self._clock.seconds))
            happening = self._coming.pop(0)
            if self._machine(happening):
                continue
            self.hits[happening.what] += 1
            match happening.what:
                case "spoil":
                    people.engine.store.submit(_spoiled, patient=False).add_done_callback(lambda unit: unit.exception())
                case "pause":
                    await people.pause_one()
                case "cancel":
                    await people.cancel_one()

    def _machine(self, happening: Happening) -> bool:
        match happening.what:
            case "full" | "room":
                self._disk.full = happening.what == "full"
            case "busy":
                self._disk.busy = int(happening.by)
            case "jump":
                self._clock.jump(happening.by)
                self.hits["jump"] += 1
            case _:
                return False
        return True


def _spoiled(tx: Transaction) -> None:
    """Somebody's unit that fails, after it did something: nothing of it may stay."""
    tx.execute("INSERT INTO meta VALUES ('spoiled', 'yes')")
    tx.execute("INSERT INTO meta VALUES ('spoiled', 'again')")

"""The simulation finds bugs: each of these is planted, and must be found within a few seeds.

Otherwise it could pass by seeing nothing.
"""

import asyncio
from collections.abc import Callable

import pytest

from engine.engine import Engine
from engine.execution import journal
from engine.execution.context import AttemptContext
from engine.execution.node_timers import NodeTimers
from engine.store import checkpoints, inbox, writer
from engine.store.transaction import Transaction
from tests.simulation.broker import Delivery
from tests.simulation.process import Process
from tests.simulation.simulation import Machine, play_disturbed

PATIENCE = 200
"""Seeds until a planted bug must have shown."""
Plant = Callable[[pytest.MonkeyPatch], Callable[[Machine], None] | None]


def a_commit_is_lost(_: pytest.MonkeyPatch) -> Callable[[Machine], None]:
    def plant(machine: Machine) -> None:
        machine.disk.lose = lambda: machine.disk.commits == 9

    return plant


def a_message_is_acknowledged_before_its_commit(_: pytest.MonkeyPatch) -> Callable[[Machine], None]:
    class Hasty(Process):
        async def accept(self, engine: Engine, fetched: list[Delivery]) -> None:
            for sequence, _, _ in fetched:
                self.broker.forget(sequence)
            await super().accept(engine, fetched)

    def plant(machine: Machine) -> None:
        machine.process = Hasty

    return plant


def a_checkpoint_is_forgotten_at_recovery(patch: pytest.MonkeyPatch) -> None:
    true = checkpoints.of
    patch.setattr(checkpoints, "of", lambda *asked: true(*asked)[1:])


def a_message_that_came_before_is_not_known(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(inbox, "claim", lambda tx, **claim: None)


def an_intent_is_not_committed(patch: pytest.MonkeyPatch) -> None:
    async def declare(*_: object) -> None:
        await asyncio.sleep(0)

    patch.setattr(journal.Journal, "declare", declare)


def an_effect_does_not_wait_for_the_commit_of_its_inputs(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(journal.Journal, "holds", lambda self, step: True)


def a_fact_gets_a_number_too_high(patch: pytest.MonkeyPatch) -> None:
    true = Transaction.write_facts

    def write(self: Transaction, since: int = 0) -> None:
        true(self, since)
        if len(self.facts) > 6:
            self.execute("UPDATE sqlite_sequence SET seq = seq + 1 WHERE name = 'facts'")

    patch.setattr(Transaction, "write_facts", write)


def the_idempotency_key_changes_with_the_attempt(patch: pytest.MonkeyPatch) -> None:
    true = AttemptContext.idempotency_key.fget
    patch.setattr(AttemptContext, "idempotency_key", property(lambda self: f"{true(self)}-{self.attempt}"))


def a_full_disk_rejects_what_could_wait(patch: pytest.MonkeyPatch) -> None:
    true = writer._Pending.__init__

    def init(self: object, unit: object, future: object, *, patient: bool) -> None:
        true(self, unit, future, patient=False)

    patch.setattr(writer._Pending, "__init__", init)


def a_timer_is_not_set(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(NodeTimers, "set", lambda *_: None)


PLANTS: list[Plant] = [
    a_commit_is_lost, a_message_is_acknowledged_before_its_commit, a_checkpoint_is_forgotten_at_recovery,
    a_message_that_came_before_is_not_known, an_intent_is_not_committed,
    an_effect_does_not_wait_for_the_commit_of_its_inputs, a_fact_gets_a_number_too_high,
    the_idempotency_key_changes_with_the_attempt, a_full_disk_rejects_what_could_wait, a_timer_is_not_set,
]  # fmt: skip


@pytest.mark.parametrize("sow", PLANTS, ids=lambda plant: plant.__name__)
def test_the_simulation_finds_that(sow: Plant, monkeypatch, record_property) -> None:
    plant = sow(monkeypatch) or (lambda _: None)
    for seed in range(1, PATIENCE):
        if found := play_disturbed(seed, plant).violations:
            print(f"seed {seed}: {found[0][-300:]}")
            record_property("seed", seed)
            return
    pytest.fail(f"{PATIENCE} seeds did not show it")

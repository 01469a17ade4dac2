"""What one seed means: the workflows, the messages, and everything bad that will happen."""

import random
from collections.abc import Iterator

import msgspec

from tests.simulation.broker import Badness
from tests.simulation.spec import Spec
from tests.simulation.workflows import handler_spec, random_spec

POINTS = (
    "intake-after-fetch", "inbox-after-insert", "before-commit", "after-commit", "intake-after-commit",
    "intake-after-commit-before-ack", "intake-after-ack", "checkpoint-before-commit", "intent-after-commit",
    "effect-before-result", "node-begins", "node-acts",
)  # fmt: skip
"""Crash points that a simulated process passes; the last two are its nodes' own."""
HOUR = 3600.0


class Death(msgspec.Struct, frozen=True, kw_only=True):
    """How a process ends, whichever comes first; all None: it lives until the work is done."""

    at_step: int | None = None
    """Killed in this round of its event loop."""
    at_point: tuple[str, int] | None = None
    """Killed at the n-th passing of a crash point."""
    at_commit: int | None = None
    """An I/O error at this commit, after which the engine stops by itself."""
    commit_holds: bool = False
    """That commit did reach the disk."""
    after_seconds: float | None = None
    """Stopped in order."""


class Happening(msgspec.Struct, frozen=True):
    """Something bad at a time, in seconds since the simulation began."""

    at: float
    what: str
    """full, room, jump, busy, spoil, pause, cancel."""
    by: float = 0.0


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    seed: int
    specs: tuple[Spec, ...]
    messages: tuple[tuple[int, str, float, bool], ...]
    """Number, workflow, when it is published, whether under an id."""
    badness: Badness = Badness()
    slowness: float = 0.0
    deaths: tuple[Death, ...] = ()
    downtimes: tuple[float, ...] = ()
    happenings: tuple[Happening, ...] = ()
    max_executions: int = 100
    max_queued: int = 2000
    park_seconds: float = 1.0

    @property
    def is_steered(self) -> bool:
        """People cancel executions in it: no result is the only right one."""
        return any(happening.what == "cancel" for happening in self.happenings)

    def calm(self) -> "Scenario":
        """The same work, and nothing happens to it."""
        return Scenario(seed=self.seed, specs=self.specs, messages=self.messages)


def scenario(seed: int) -> Scenario:
    """The scenario of a seed."""
    dice = random.Random(seed)
    handled = dice.random() < 0.3
    specs = [random_spec(dice, f"w{i}", on_failure="mend" if handled else None) for i in range(dice.randint(1, 2))]
    messages = tuple(
        (n, dice.choice(specs).name, dice.choice((0.0, dice.uniform(0, 1), dice.uniform(0, 60))), dice.random() < 0.7)
        for n in range(1, dice.choice((2, 4, 6, 11)))
    )
    if handled:
        specs.append(handler_spec("mend"))
    lives = dice.choices((1, 2, 3, 4, 7), (10, 25, 30, 25, 10))[0]
    return Scenario(
        seed=seed,
        specs=tuple(specs),
        messages=messages,
        badness=_badness(dice),
        slowness=dice.choice((0.0, 0.0005, 0.01, 0.5)),
        deaths=tuple(_death(dice) for _ in range(lives - 1)),
        downtimes=tuple(dice.choice((0.0, 0.1, 5.0, 8 * HOUR)) for _ in range(lives - 1)),
        happenings=tuple(sorted(_happenings(dice), key=lambda one: one.at)),
        max_executions=dice.choice((1, 2, 100)),
        max_queued=dice.choice((1, 3, 2000)),
        park_seconds=dice.choice((0.001, 1.0, HOUR)),
    )


def _badness(dice: random.Random) -> Badness:
    def some(most: float) -> float:
        return dice.choice((0.0, most / 3, most))

    return Badness(some(0.3), some(0.3), some(0.4), some(0.4), some(0.3), dice.choice((0.5, 5.0, 30.0)))


def _death(dice: random.Random) -> Death:
    kind = dice.random()
    if kind < 0.35:
        return Death(at_step=round(10 ** dice.uniform(0.3, 2.9)))
    if kind < 0.82:
        return Death(
            at_point=(dice.choice((*POINTS, *POINTS[-5:], *POINTS[-2:])), dice.choice((1, 1, 1, 2, 2, 3, 5))),
            at_step=2000,
        )
    if kind < 0.92:
        return Death(at_commit=dice.choice((1, 2, 3, 5, 8, 13)), commit_holds=dice.random() < 0.5, at_step=2000)
    return Death(after_seconds=dice.choice((0.0, 0.01, 0.7, 30.0)), at_step=4000)


def _happenings(dice: random.Random) -> Iterator[Happening]:
    for what, chance in (("jump", 0.3), ("full", 0.3), ("busy", 0.3), ("spoil", 0.3), ("pause", 0.25), ("cancel", 0.1)):
        while dice.random() < chance:
            at = dice.choice((0.0, dice.uniform(0, 2), dice.uniform(0, 100), dice.uniform(0, 8 * HOUR)))
            if what == "full":
                yield Happening(at, "full")
                yield Happening(at + dice.choice((0.5, 3.0, 40.0)), "room")
            else:
                yield Happening(at, what, dice.choice((-HOUR, HOUR)) if what == "jump" else dice.randint(1, 3))

"""Plays a scenario: one process after the other on one machine, until all work is done, and then examines what is left.

play(seed)      one run, its promises checked, against an undisturbed run of the same seed
"""

import logging
import random
import shutil
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from engine import crash, ids
from engine.store import Store, StoreBroken, StoreFull
from tests.simulation.broker import Broker
from tests.simulation.clock import MachineClock
from tests.simulation.death import Killed
from tests.simulation.disk import Disk
from tests.simulation.examination import Ended, compare, examine
from tests.simulation.fate import Fate
from tests.simulation.oracle import Oracle
from tests.simulation.process import Process
from tests.simulation.scenario import Death, Scenario, scenario
from tests.simulation.shelf import Shelf
from tests.simulation.virtual_time import VirtualLoop
from tests.simulation.workflows import by_name

START = 1_795_000_000_000_000  # 2026-11-18T11:06:40Z
LONGEST_SECONDS = 60 * 86_400.0
"""A simulation that is not done by then never will be."""
MOST_STEPS = 20_000
"""Rounds of the loop at one moment: more turn in a circle."""


class Report(msgspec.Struct, kw_only=True):
    """What became of one seed."""

    seed: int
    violations: list[str]
    hits: Counter[str]
    """How often each fault hit something."""
    ends: dict[tuple[str, int], Ended] = {}
    trail: list[str] = []
    """Everything that was seen, in order: two runs of a seed give the same."""


Plant = Callable[["Machine"], None]


def play_disturbed(seed: int, plant: Plant) -> Report:
    """One seed, not compared. `plant` spoils something first, to see whether it is found."""
    return _run(scenario(seed), Shelf(seed), plant)[0]


def play(seed: int) -> Report:
    """One seed: disturbed, examined, compared."""
    return play_scenario(scenario(seed))


def play_scenario(disturbed: Scenario) -> Report:
    """The same for what a test made up."""
    shelf = Shelf(disturbed.seed)
    report, oracle = _run(disturbed, shelf, lambda _: None)
    if not (report.violations or disturbed.is_steered or any(spec.is_timed for spec in disturbed.specs)):
        calm, _ = _run(disturbed.calm(), shelf, lambda _: None)
        compare(calm.ends, report.ends, oracle)
        report.violations = [f"undisturbed: {text}" for text in calm.violations] + oracle.violations
    return report


def _run(played: Scenario, shelf: Shelf, plant: Plant) -> tuple[Report, Oracle]:
    with tempfile.TemporaryDirectory(dir=_memory(), ignore_cleanup_errors=True) as folder, _repeatable(played.seed):
        machine = Machine(played, Path(folder) / "s.db", shelf)
        plant(machine)
        try:
            return machine.run(), machine.oracle
        finally:
            machine.oracle.close()


class Machine:
    """What outlives each process."""

    def __init__(self, played: Scenario, file: Path, shelf: Shelf) -> None:
        dice = random.Random(f"machine {played.seed}")
        self.scenario = played
        self.file = file
        self.clock = MachineClock(START)
        self.oracle = Oracle(by_name(played.specs))
        self.disk = Disk(dice, slowness=played.slowness)
        self.disk.opened = self.oracle.watch
        self.broker = Broker(dice, played.badness)
        self.fate = Fate(played, self.disk, self.clock)
        self.shelf = shelf
        self.acting = shelf.acting
        self.acting.oracle = self.oracle
        self.process = Process
        self.hits: Counter[str] = Counter()
        for n, workflow, at, named in played.messages:
            self.broker.publish(n, f"in.{workflow}.m", at, named=named)
        shutil.copy(_empty_store(), file)
        self.oracle.look_at(str(file))

    def run(self) -> Report:
        deaths = [*zip(self.scenario.deaths, self.scenario.downtimes, strict=True)]
        ended = ""
        while ended != "done" and not self.oracle.violations:
            death, downtime = deaths.pop(0) if deaths else (Death(), 5.0)
            ended = self._live(death)
            if ended == "no room":  # it hardly began
                deaths.insert(0, (death, downtime))
                downtime = 5.0
            self._rest(downtime)
        ends: dict[tuple[str, int], Ended] = {}
        if not self.oracle.violations:
            ends = examine(self.oracle, self.broker)
        self.hits += self.broker.hits + self.disk.hits + self.fate.hits
        self.hits["repeated effects"] += self.oracle.repeats
        self.hits["resolved"] += len(self.oracle.resolved)
        return Report(
            seed=self.scenario.seed, violations=self.oracle.violations, hits=self.hits, ends=ends,
            trail=self.oracle.trail,
        )  # fmt: skip

    def _live(self, death: Death) -> str:
        """One process, from its start to its end; how it ended."""
        loop = VirtualLoop(begin=self.clock.seconds)
        self.clock.loop = loop
        self.fate.catch_up()
        process = self.process(
            self.scenario, file=self.file, disk=self.disk, clock=self.clock, broker=self.broker, oracle=self.oracle,
            fate=self.fate, acting=self.acting, shelf=self.shelf,
        )  # fmt: skip
        interrupted = self.oracle.rows("SELECT COUNT(*) FROM executions WHERE status = 'running'")[0][0]
        self.acting.dead, self.acting.attempts = False, 0
        self._arm(death, loop)
        ended = "stopped"
        try:
            loop.run_until_complete(process.live(self._done, seconds=death.after_seconds))
            if self._done():
                ended = "done"
                for name in process.remains:
                    self.oracle.violate(f"when all was done, there was something left in memory: {name}")
        except Killed:
            ended = "killed"
            if interrupted and not self.acting.attempts:
                self.hits["killed while it recovered"] += 1
        except KeyboardInterrupt:
            raise
        except BaseException as problem:
            if not _is_of_the_disk(problem, booting=not process.is_up):
                self.oracle.violate(_cause(problem))
            ended = "no room" if self.disk.full else "broken"
        finally:
            self.acting.dead = True
            crash.observer = None
            self.disk.die()
            process.stop_starting()
            loop.bury()
        self.hits[ended] += 1
        return ended

    def _rest(self, seconds: float) -> None:
        """Nobody runs."""
        self.clock.loop = rest = VirtualLoop(begin=self.clock.seconds + seconds)
        rest.close()

    def _arm(self, death: Death, loop: VirtualLoop) -> None:
        self.disk.broken_at, self.disk.broken_late = death.at_commit, death.commit_holds
        last = LONGEST_SECONDS + loop.time()
        moved = (loop.time(), 0)

        def step(number: int) -> None:
            nonlocal moved
            if number == death.at_step:
                raise Killed
            if loop.time() > moved[0]:
                moved = (loop.time(), number)
            if loop.time() > last or number > moved[1] + MOST_STEPS:
                raise AssertionError(f"it never ends; open: {self._open()}")

        loop.on_step(step)
        if death.at_point is not None:
            point, left = death.at_point

            def passed(name: str) -> None:
                nonlocal left
                left -= name == point
                if left == 0:
                    self.hits[f"killed at {point}"] += 1
                    raise Killed

            crash.observer = passed

    def _done(self) -> bool:
        return self.broker.is_empty and not self._open()

    def _open(self) -> list[tuple]:
        return self.oracle.rows("SELECT id, workflow, status FROM executions WHERE finished_at IS NULL")


def _is_of_the_disk(problem: BaseException, *, booting: bool) -> bool:
    """Whether the engine stopped because it could not write. A full disk prevents a start; later it is waited out."""
    if isinstance(problem, BaseExceptionGroup):
        return all(_is_of_the_disk(inner, booting=booting) for inner in problem.exceptions)
    return isinstance(problem, StoreBroken) or (booting and isinstance(problem, StoreFull))


def _cause(problem: BaseException) -> str:
    """Where it came from, without the groups around it."""
    while isinstance(problem, BaseExceptionGroup):
        problem = problem.exceptions[0]
    return "the process ended: " + "".join(traceback.format_exception(problem, limit=-6, chain=False))


@contextmanager
def _repeatable(seed: int) -> Iterator[None]:
    """Ids come from the seed, and nobody writes logs."""
    before, level = ids.random_bytes, logging.root.manager.disable
    ids.random_bytes = random.Random(f"ids {seed}").randbytes
    logging.disable()
    try:
        yield
    finally:
        ids.random_bytes = before
        logging.disable(level)


_template: list[Path] = []


def _empty_store() -> Path:
    """A store with all its tables and nothing in them, made once: migrating takes longer than a short simulation."""
    if not _template:
        folder = Path(tempfile.mkdtemp(dir=_memory()))
        loop = VirtualLoop()

        async def make() -> None:
            async with Store.open(folder / "empty.db", synchronous="off", connect=Disk(random.Random(0)).connect):
                pass

        loop.run_until_complete(make())
        loop.close()
        _template.append(folder / "empty.db")
    return _template[0]


def _memory() -> str | None:
    """A file system in memory, where there is one."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None

"""Items per second of a foreach over 10,000 trivial items, every iteration a checkpoint, all facts on.

`pure` items are computed; `effect` items wait for the commit of what they are built from, 100 at a time. From the start
of the execution to the fact that tells its end.
"""

from importlib import import_module
from pathlib import Path

from measure.figures import Goal
from measure.rounds import Run, main

RUNS = (
    Run(who="ganglion", case="pure", executions=10_000, goal=Goal(8_000)),
    Run(who="ganglion", case="effect", executions=10_000, at_once=100),
)


def run(run: Run, directory: Path) -> float:
    kind = "transform" if run.case == "pure" else "step"
    rate: float = import_module(f"contestants.{run.who}").loop(run.executions, run.at_once, kind, directory)
    return rate


if __name__ == "__main__":
    main("loops", RUNS, run, unit="items/s", about=__doc__)

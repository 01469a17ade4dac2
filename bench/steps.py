"""Durable steps per second: chains of ten steps, each on the disk (synchronous=FULL) before the next one starts.

One chain at a time, and 100 at once; from the start of an execution to the fact that tells its end, all facts on.
"""

from importlib import import_module
from pathlib import Path

from measure.figures import Goal
from measure.rounds import Run, main

ONE, HUNDRED = "1 at once", "100 at once"
LANGGRAPH = ("langgraph", "aiosqlite")

RUNS = (
    Run(who="ganglion", case=ONE, executions=500, goal=Goal(1_000)),
    Run(who="langgraph", case=ONE, executions=50, needs=LANGGRAPH),
    Run(who="dbos", case=ONE, executions=25, needs=("dbos",)),
    Run(who="ceiling", case=ONE, executions=500),
    Run(who="ganglion", case=HUNDRED, executions=3_000, at_once=100, goal=Goal(10_000)),
    Run(who="langgraph", case=HUNDRED, executions=200, at_once=100, needs=LANGGRAPH, goal=Goal(20)),
    Run(who="dbos", case=HUNDRED, executions=100, at_once=100, needs=("dbos",), goal=Goal(50)),
    Run(who="ceiling", case=HUNDRED, executions=10_000, at_once=100),
)


def run(run: Run, directory: Path) -> float:
    rate: float = import_module(f"contestants.{run.who}").chain(run.executions, run.at_once, directory)
    return rate


if __name__ == "__main__":
    main("steps", RUNS, run, unit="steps/s", about=__doc__)

"""Nodes per second when one node fans out to 1,000 and to 10,000 and a last one joins them, all durable.

From the start of the execution to the fact that tells its end, all facts on. The growth must be linear: ten times the
nodes at the same rate.
"""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from measure.figures import Goal, Row, median
from measure.rounds import Run, main

THOUSAND, TEN_THOUSAND = "1,000 nodes", "10,000 nodes"

RUNS = (
    Run(who="ganglion", case=THOUSAND, executions=10, at_once=1_000),
    Run(who="langgraph", case=THOUSAND, executions=2, at_once=1_000, needs=("langgraph", "aiosqlite"), goal=Goal(10)),
    Run(who="ganglion", case=TEN_THOUSAND, executions=2, at_once=10_000),
)


def run(run: Run, directory: Path) -> float:
    rate: float = import_module(f"contestants.{run.who}").fan(run.executions, run.at_once, directory)
    return rate


def growth(rows: Sequence[Row]) -> list[Row]:
    """The rate at 10,000 as a share of that at 1,000: 1 is linear."""
    small, large = (row.figure.value for row in rows if row.figure.who == "ganglion")
    shares = [large / small] if small and large else []
    return [median("fan", "ganglion", "10,000 beside 1,000", shares, "x", goal=Goal(0.9))]


if __name__ == "__main__":
    main("fan", RUNS, run, unit="nodes/s", about=__doc__, conclude=growth)

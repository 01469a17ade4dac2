"""A thousand seeds, each a run of the whole engine on a machine where everything goes wrong.

GANGLION_SIM_SEED=123 python -m pytest tests/simulation -q -k seeds      one seed, again
GANGLION_SIM_SEEDS=20000 python -m pytest tests/simulation -q -k seeds   many
"""

import logging
import multiprocessing
import os
from collections import Counter
from concurrent.futures import ProcessPoolExecutor

import pytest

from tests.simulation.scenario import POINTS
from tests.simulation.simulation import Report, play

SEEDS = int(os.environ.get("GANGLION_SIM_SEEDS", "1000"))
FIRST = int(os.environ.get("GANGLION_SIM_FIRST", "1"))
ONLY = os.environ.get("GANGLION_SIM_SEED")
BLOCK = 20
"""Seeds that one worker plays before it asks for more."""
FAULTS = (
    "killed", "stopped", "io error", "io error after the commit", "full", "busy", "spoil", "jump", "pause", "cancel",
    "resolved", "repeated effects", "killed while it recovered", "dropped", "duplicated", "delayed", "redelivered",
    "ack lost", "published again", *(f"killed at {point}" for point in POINTS),
)  # fmt: skip
"""What must have hit somebody, or the runs say nothing."""


@pytest.mark.skipif(ONLY is not None, reason="one seed was asked for")
def test_no_seed_breaks_a_promise(record_property) -> None:
    hits: Counter[str] = Counter()
    broken: list[Report] = []
    blocks = [range(first, min(first + BLOCK, FIRST + SEEDS)) for first in range(FIRST, FIRST + SEEDS, BLOCK)]
    with ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("spawn")) as pool:
        for reports in pool.map(play_all, blocks):
            for report in reports:
                hits += report.hits
                if report.violations:
                    broken.append(report)
    told = ", ".join(f"{count} {fault}" for fault, count in sorted(hits.items(), key=lambda hit: -hit[1]))
    print(f"{SEEDS} seeds from {FIRST}: {told}")
    record_property("hits", dict(hits))
    assert not broken, "\n\n".join(_told(report) for report in broken[:5])
    if SEEDS >= 500:
        assert not (missed := [fault for fault in FAULTS if not hits[fault]]), f"nothing was hit by: {missed}"


@pytest.mark.skipif(ONLY is None, reason="no seed was asked for")
def test_one_of_the_seeds_breaks_no_promise() -> None:
    report = play(int(ONLY or 0))
    print("\n".join(report.trail))
    assert not report.violations, _told(report)


def test_a_seed_is_the_same_run_in_another_process() -> None:
    """Where the order of a set or a thread had a say, no failure could be played again."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        for seed in range(20, 40):
            there = pool.submit(play, seed).result()
            assert there.trail == play(seed).trail, f"seed {seed} is not one run"


def play_all(seeds: range) -> list[Report]:
    """In a worker: the reports, without what only a single run needs."""
    logging.disable()
    reports = []
    for seed in seeds:
        report = play(seed)
        report.ends, report.trail = {}, []
        reports.append(report)
    return reports


def _told(report: Report) -> str:
    lines = "\n".join(f"    {violation}" for violation in report.violations)
    return (
        f"seed {report.seed}:\n{lines}\n"
        f"play it again: GANGLION_SIM_SEED={report.seed} python -m pytest tests/simulation -q -s -k seeds"
    )

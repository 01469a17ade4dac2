"""Contestants in turn (A B C A B C …), every run in a fresh process on a fresh directory.

A program describes its runs as `Run`s and gives the code of one run, which is called in the child:

    main(title, runs, code, …)        python bench/steps.py [--json] [--rounds 3] [--dir D] [--who ganglion,ceiling]

What a child prints on the last line of its standard output is its value; its standard error is shown when it fails.
"""

import argparse
import importlib.util
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from measure.figures import Goal, Row, median, show

TMPFS = "tmpfs"


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to measure: who does what, how much of it."""

    who: str
    case: str
    executions: int
    """So many that a run takes a second or two: the slow ones get fewer."""
    at_once: int = 1
    """Executions, or nodes of one execution."""
    needs: tuple[str, ...] = ()
    """Packages without which this contestant is absent."""
    goal: Goal | None = None
    """For our figure; for how many times a peer's it is, on the peer's run."""


Code = Callable[[Run, Path], float]
"""One run in a directory of its own; returns the value."""
Conclude = Callable[[Sequence[Row]], Sequence[Row]]
"""More rows from those that were measured."""


def main(
    bench: str, runs: Sequence[Run], code: Code, *, unit: str, about: str, conclude: Conclude = lambda _: ()
) -> None:
    """Parse the command line, measure, show. In a child: one run."""
    parser = arguments(about)
    parser.add_argument("--who", help="only these contestants, with commas between them")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child is not None:
        who, case = options.child
        [run] = [run for run in runs if (run.who, run.case) == (who, case)]
        sys.stdout.write(f"{code(run, options.dir)}\n")
        return
    chosen = [run for run in runs if options.who is None or run.who in options.who.split(",")]
    with tempfile.TemporaryDirectory(prefix="ganglion-bench-", dir=real_disk(options.dir)) as place:
        rows = _measure(bench, chosen, options.rounds, Path(place), unit)
        title = f"{bench}: median of {options.rounds} rounds, in turn, on {file_system(Path(place))} at {place}"
    show(title, [*rows, *conclude(rows)], as_json=options.json)


def arguments(about: str) -> argparse.ArgumentParser:
    """What every program of bench/ takes."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one line of JSON per figure")
    parser.add_argument("--rounds", type=int, default=3, help="how often everything is measured (default 3)")
    parser.add_argument("--dir", type=Path, help="where the databases go; a disk (default: a temporary directory)")
    return parser


def real_disk(wanted: Path | None) -> Path:
    """A directory whose fsync means something. Ends the program if the one that was asked for has none."""
    if wanted is not None:
        wanted.mkdir(parents=True, exist_ok=True)
        if file_system(wanted) == TMPFS:
            sys.exit(f"{wanted} is in memory (tmpfs), where a commit costs nothing: give --dir on a disk")
        return wanted
    for place in (Path(tempfile.gettempdir()), Path("/var/tmp"), Path.home(), Path.cwd()):
        if place.is_dir() and file_system(place) != TMPFS:
            return place
    sys.exit("every usual place for temporary files is in memory: give --dir on a disk")


def file_system(place: Path) -> str:
    """The kind of file system that a directory is on, such as ext4; `unknown` where /proc does not tell."""
    try:
        lines = Path("/proc/self/mounts").read_text().splitlines()
    except OSError:
        return "unknown"
    mounts = [line.split()[1:3] for line in lines]
    over = [(point, kind) for point, kind in mounts if place.resolve().is_relative_to(point)]
    return max(over, key=lambda mount: len(mount[0]), default=("", "unknown"))[1]


def _measure(bench: str, runs: Sequence[Run], rounds: int, place: Path, unit: str) -> list[Row]:
    present = [run for run in runs if all(map(importlib.util.find_spec, run.needs))]
    values: dict[tuple[str, str], list[float]] = {(run.who, run.case): [] for run in runs}
    for round in range(rounds):
        for run in present:
            directory = place / f"{run.who}-{runs.index(run)}-{round}"
            directory.mkdir()
            value = _in_child(run, directory)
            shutil.rmtree(directory)
            values[run.who, run.case].append(value)
            say(f"round {round + 1} of {rounds}: {run.case}, {run.who}: {value:,.1f} {unit}")
    return [median(bench, run.who, run.case, values[run.who, run.case], unit, goal=run.goal) for run in runs]


def _in_child(run: Run, directory: Path) -> float:
    command = [sys.executable, sys.argv[0], "--child", run.who, run.case, "--dir", str(directory)]
    child = subprocess.run(command, capture_output=True, text=True, check=False)
    if child.returncode:
        sys.exit(f"{child.stderr}\n{run.who}, {run.case}: exit code {child.returncode}")
    return float(child.stdout.split()[-1])


def say(line: str) -> None:
    """Progress, for people only."""
    if sys.stderr.isatty():
        sys.stderr.write(line + "\n")

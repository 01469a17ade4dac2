"""What an agent costs when nothing happens: memory, start, processor, and what it writes; and what each part adds.

First each round starts `ganglion up` twice on one new data directory (the first time it makes the store, the keys and
the streams) and runs `ganglion --version`; a packaged executable is unpacked anew in each round. Then agents with one
optional part each, and Node-RED where npm can install it, rest side by side for `--seconds`. What is measured is the
newest packaged executable in dist/, else the command that is installed beside this Python, or `--executable FILE`.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from argparse import Namespace
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path

from idle import node_red, wasm
from idle.agent import newest_program, running
from idle.executions import Setting, cost
from idle.hub import hub
from idle.matrix import figures, show_parts
from idle.parts import NOTHING, parts, serving
from idle.process import resident_bytes
from idle.rest import MEGABYTE, Program, Rest, at_rest
from measure.figures import US, Goal, median, show
from measure.rounds import arguments, file_system, real_disk, say

REST_SECONDS = 3.0
"""After being ready: what the start needed has been handed back."""
CALM_SECONDS = 180.0
"""Before the long look: what a start has written is tidied up after a minute, and indexed by the server after two."""

AGENT, SERVER = "resident memory of an idle agent", "resident memory of its NATS server"
FIRST, NEXT, VERSION = "first start to ready", "next start to ready", "ganglion --version"
SIZE, WASM = "size on the disk", "what wasmtime adds once a module runs"
ONE, HUNDRED = "written per 1,000 executions, one at a time", "written per 1,000 executions, 100 at once"
"""By the agent and its NATS server; bench/flash.py tells more."""
GOALS: dict[str, tuple[Goal | None, str]] = {
    AGENT: (Goal(70, "less"), "MB"),
    SERVER: (Goal(25, "less"), "MB"),
    FIRST: (Goal(2.5, "less"), "s"),
    NEXT: (Goal(0.8, "less"), "s"),
    VERSION: (Goal(0.3, "less"), "s"),
    SIZE: (Goal(90, "less"), "MB"),
    WASM: (None, "MB"),
    ONE: (Goal(100, "less"), "MB"),
    HUNDRED: (Goal(35, "less"), "MB"),
}


def main() -> None:
    options = _options()
    program = options.executable.absolute()
    if not program.exists():
        sys.exit(f"there is no {program}: install Ganglion into this environment first, pip install -e .")
    with tempfile.TemporaryDirectory(prefix="ganglion-bench-", dir=real_disk(options.dir)) as place:
        directory = Path(place)
        values = _starts(program, directory, options.rounds)
        if program.stat().st_size > MEGABYTE:  # else it is a script, and what it starts lies elsewhere
            values[SIZE].append(program.stat().st_size / MEGABYTE)
        values[WASM] += [added for added in [wasm.added_megabytes()] if added is not None]
        for case, at_once in ((ONE, 1), (HUNDRED, 100)):
            values[case].append(_written(program, directory / f"{at_once}-at-once", options.executions, at_once))
        beside, rests = _rest(program, directory, options)
        title = f"footprint of {program.name}: {options.rounds} rounds, on {file_system(directory)} at {place}"
    rows = [median("footprint", US, case, values[case], unit, goal=goal) for case, (goal, unit) in GOALS.items()]
    rows += [median("footprint", node_red.NAME, case, found, GOALS[case][1]) for case, found in beside.items()]
    order = list(GOALS)
    show(title, sorted(rows, key=lambda row: order.index(row.figure.case)), as_json=options.json)
    if options.json:
        show(title, figures(rests), as_json=True)
    else:
        show_parts(rests, options.seconds)


def _options() -> Namespace:
    parser = arguments(__doc__)
    parser.add_argument("--executable", type=Path, default=newest_program(), metavar="FILE", help="the program")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long all rest (default 60)")
    parser.add_argument("--calm", type=float, default=CALM_SECONDS, help="seconds before that (default 180)")
    parser.add_argument("--executions", type=int, default=300, help="whose writes are counted (default 300)")
    parser.add_argument("--node-red", type=Path, metavar="DIR", help="where it is installed, or is to be")
    return parser.parse_args()


def _starts(program: Path, directory: Path, rounds: int) -> dict[str, list[float]]:
    values: dict[str, list[float]] = defaultdict(list)
    for round in range(rounds):
        data = directory / str(round)
        os.environ["GANGLION_CACHE_DIR"] = f"{data}-unpacked"
        for case in (FIRST, NEXT):
            with running(program, data, flags=("--mqtt", "127.0.0.1:0")) as agent:
                values[case].append(agent.seconds)
                if case is NEXT:  # an agent that has been here before
                    time.sleep(REST_SECONDS)
                    values[AGENT].append(resident_bytes(agent.pid) / MEGABYTE)
                    values[SERVER] += [resident_bytes(agent.server) / MEGABYTE] if agent.server else []
        began = time.perf_counter()
        subprocess.run([program, "--version"], check=True, stdout=subprocess.DEVNULL)
        values[VERSION].append(time.perf_counter() - began)
        say(f"round {round + 1} of {rounds}: {', '.join(f'{case} {found[-1]:.3g}' for case, found in values.items())}")
    return values


def _written(program: Path, directory: Path, count: int, at_once: int) -> float:
    say(f"{count} executions, {at_once} at once")
    found = asyncio.run(cost(program, directory, Setting(name="as shipped"), count, at_once=at_once))
    return (found.agent + found.server) / count * 1000 / MEGABYTE


def _rest(program: Path, directory: Path, options: Namespace) -> tuple[dict[str, list[float]], dict[str, Rest]]:
    """What is known of Node-RED's start and size, and what everybody took at rest."""
    beside: dict[str, list[float]] = {}
    programs: dict[str, Program] = {}
    with ExitStack() as stack:
        red = node_red.installed(options.node_red or directory / "node-red")
        if isinstance(red, Path):
            other = stack.enter_context(node_red.running(red, directory / "red"))
            beside = {NEXT: [other.seconds], SIZE: [node_red.disk_bytes(red) / MEGABYTE]}
            programs[node_red.NAME] = Program(other.pid)
        else:
            say(f"{node_red.NAME} is left out: {red}")
        leafs = stack.enter_context(hub(directory / "hub"))
        for number, part in enumerate(parts(leafs, directory)):
            agent = stack.enter_context(serving(part, program, directory / f"part-{number}"))
            programs[part.name] = Program(agent.pid, agent.server)
            say(f"at rest: {part.name}")
        time.sleep(options.calm)
        say(f"looking at them for {options.seconds:g} s")
        rests = at_rest(programs, options.seconds)
    if node_red.NAME in rests:
        beside[AGENT] = [rests[node_red.NAME].megabytes]
    return beside, {name: rests[name] for name in sorted(rests, key=lambda name: name != NOTHING)}


if __name__ == "__main__":
    main()

"""What an idle agent costs: resident memory, its own and that of its NATS server, and time.

Each round starts `ganglion up` twice on one new data directory (the first time it makes the store, the keys and the
streams), waits until it is ready and has come to rest, reads the memory of its processes and stops it; then it runs
`ganglion --version`. The command is the one that is installed beside this Python, or, with --executable FILE, the
packaged one; each round then unpacks it anew first.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import psutil
from measure.figures import US, Goal, median, show
from measure.rounds import arguments, file_system, real_disk, say

INSTALLED = Path(sys.executable).parent / "ganglion"
FREE_PORTS = ("--listen", "127.0.0.1:0", "--mqtt", "127.0.0.1:0")
READY_WITHIN_SECONDS = 60.0
REST_SECONDS = 3.0
"""After being ready: what the start needed has been handed back."""
MEGABYTE = 1_000_000

AGENT, SERVER = "resident memory of an idle agent", "resident memory of its NATS server"
FIRST, NEXT, VERSION = "first start to ready", "next start to ready", "ganglion --version"
GOALS = {
    AGENT: (Goal(70, "less"), "MB"),
    SERVER: (Goal(25, "less"), "MB"),
    FIRST: (Goal(1.5, "less"), "s"),
    NEXT: (Goal(1.5, "less"), "s"),
    VERSION: (Goal(0.3, "less"), "s"),
}


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--executable", type=Path, default=INSTALLED, metavar="FILE", help="the packaged ganglion")
    options = parser.parse_args()
    command = options.executable.absolute()
    if not command.exists():
        sys.exit(f"there is no {command}: install Ganglion into this environment first, pip install -e .")
    values: dict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="ganglion-bench-", dir=real_disk(options.dir)) as place:
        for round in range(options.rounds):
            data_dir = Path(place) / str(round)
            os.environ["GANGLION_CACHE_DIR"] = f"{data_dir}-unpacked"
            for case in (FIRST, NEXT):
                seconds, memory = _start_and_stop(command, data_dir)
                values[case].append(seconds)
            for case, size in memory.items():  # of the second start: an agent that has been here before
                values[case].append(size)
            values[VERSION].append(_version_seconds(command))
            say(f"round {round + 1} of {options.rounds}: {', '.join(f'{k} {v[-1]:.3g}' for k, v in values.items())}")
        title = f"footprint: median of {options.rounds} rounds, on {file_system(Path(place))} at {place}"
    rows = [median("footprint", US, case, values[case], unit, goal=goal) for case, (goal, unit) in GOALS.items()]
    show(title, rows, as_json=options.json)


def _start_and_stop(program: Path, data_dir: Path) -> tuple[float, dict[str, float]]:
    """Seconds from the start to ready, and the megabytes of the processes at rest."""
    ready = data_dir.with_suffix(".ready")
    ready.unlink(missing_ok=True)
    log = data_dir.with_suffix(".log")
    command = [str(program), "up", "--data-dir", str(data_dir), "--ready-file", str(ready), *FREE_PORTS]
    began = time.perf_counter()
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as agent:
        try:
            while not ready.exists():
                if agent.poll() is not None or time.perf_counter() - began > READY_WITHIN_SECONDS:
                    sys.exit(f"the agent did not become ready:\n{log.read_text()}")
                time.sleep(0.002)
            seconds = time.perf_counter() - began
            time.sleep(REST_SECONDS)
            memory = _memory(agent.pid)
        finally:
            agent.terminate()
    return seconds, memory


def _memory(pid: int) -> dict[str, float]:
    agent = psutil.Process(pid)
    memory = {AGENT: agent.memory_info().rss / MEGABYTE}
    for child in agent.children(recursive=True):
        if "nats-server" in child.name():
            memory[SERVER] = child.memory_info().rss / MEGABYTE
    return memory


def _version_seconds(program: Path) -> float:
    began = time.perf_counter()
    subprocess.run([str(program), "--version"], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()

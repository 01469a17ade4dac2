"""What executions write to the disk: bytes per 1,000 of them, as an SD card or an eMMC sees it.

Messages of 256 bytes start executions of three durable steps; the bytes are those that the kernel counts for the agent
and for its NATS server, whole pages, checkpoints and indexes included, the file system's own journal not. Once one at
a time, where each commit is for one step of one execution, and once with 100 under way, whose commits go together.
`bench/footprint.py` tells what an agent writes that does nothing.
"""

import asyncio
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from idle.agent import newest_program
from idle.executions import BODY_BYTES, Setting, cost
from measure.figures import US, Goal, median, show
from measure.rounds import arguments, file_system, real_disk, say

MEGABYTE = 1_000_000
SHIPPED = "as shipped"
SETTINGS = (
    Setting(name=SHIPPED),
    Setting(name="durability: async", durability="async"),
    Setting(name="durability: exit", durability="exit"),
    Setting(name='synchronous = "normal"', config='[store]\nsynchronous = "normal"\n'),
    Setting(name='sync_interval = "1s"', config='[mesh]\nsync_interval = "1s"\n'),
)
ONE, HUNDRED = "one at a time", "100 at once"
AT_ONCE = {ONE: 1, HUNDRED: 100}
AGENT, SERVER = "agent", "NATS server"
GOALS = {
    (SHIPPED, ONE, AGENT): Goal(80, "less"),
    (SHIPPED, ONE, SERVER): Goal(20, "less"),
    (SHIPPED, HUNDRED, AGENT): Goal(15, "less"),
    (SHIPPED, HUNDRED, SERVER): Goal(20, "less"),
}
"""Megabytes."""


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--executable", type=Path, default=newest_program(), metavar="FILE", help="the program")
    parser.add_argument("--executions", type=int, default=1000, help="of each kind (default 1,000)")
    options = parser.parse_args()
    program = options.executable.absolute()
    if not program.exists():
        sys.exit(f"there is no {program}: install Ganglion into this environment first, pip install -e .")
    values: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="ganglion-bench-", dir=real_disk(options.dir)) as place:
        for round in range(options.rounds):
            for number, setting in enumerate(SETTINGS):
                for case, at_once in AT_ONCE.items():
                    directory = Path(place) / f"{round}-{number}-{at_once}"
                    found = asyncio.run(cost(program, directory, setting, options.executions, at_once=at_once))
                    for who, written in ((AGENT, found.agent), (SERVER, found.server)):
                        megabytes = written / found.executions * 1000 / MEGABYTE
                        values[setting.name, case, who].append(megabytes)
                        say(f"round {round + 1} of {options.rounds}: {setting.name}, {case}, {who}: {megabytes:.1f} MB")
        payload = BODY_BYTES * 1000 / MEGABYTE
        title = f"flash: {program.name}, bytes per 1,000 executions whose messages are {payload:.3f} MB together; "
        title += f"median of {options.rounds} rounds on {file_system(Path(place))}"
    rows = [
        median("flash", US, f"{setting}, {case}, {who}", found, "MB", goal=GOALS.get((setting, case, who)))
        for (setting, case, who), found in values.items()
    ]
    show(title, rows, as_json=options.json)


if __name__ == "__main__":
    main()

"""A message becomes a durable result: NATS publish -> three durable steps -> `workflow.completed` seen by a subscriber.

An installed `ganglion up` beside the bare loop (messages/bare.py), in turn, each with a new directory in each round.
Publisher and subscriber are processes of their own that know nothing of us. First a burst, which gives the executions
per second from the first publish to the last event seen; then 300 a second, which gives the time from the publish of a
message to its event. Once with the server's settings as shipped, where a message is on the disk before it is
acknowledged, and once with a server that writes every two minutes, as NATS does by itself.
"""

import json
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import msgspec
from measure.figures import US, Goal, Row, median, show
from measure.rounds import arguments, file_system, real_disk, say
from messages.contestants import ADDED, BENCH, COMPLETED, GANGLION, SHIPPED, SUBJECT, ceiling, ganglion

WARM_UP, BURST = 200, 3_000
RATE, STEADY = 300, 1_500
"""Messages a second, and how many."""

Contestant = Callable[[Path, str], AbstractContextManager[str]]
CONTESTANTS: dict[str, Contestant] = {US: ganglion, "ceiling": ceiling}


class Setting(msgspec.Struct, frozen=True):
    name: str
    sync_interval: str
    goals: dict[tuple[str, str], Goal]
    """By contestant and figure."""


BURST_RATE, HALF, WORST = "", f", {RATE}/s, p50", f", {RATE}/s, p99"
UNITS = {BURST_RATE: "executions/s", HALF: "ms", WORST: "ms"}
SETTINGS = (
    Setting("shipped settings", SHIPPED, {("ceiling", BURST_RATE): Goal(0.5), (US, WORST): Goal(25, "less")}),
    Setting("lazily syncing server", "2m", {(US, BURST_RATE): Goal(1_500)}),
)


def main() -> None:
    parser = arguments(__doc__ or "")
    parser.add_argument("--who", default=",".join(CONTESTANTS), help="only these contestants, with commas between them")
    options = parser.parse_args()
    if not GANGLION.exists():
        sys.exit(f"there is no {GANGLION}: install Ganglion into this environment first, pip install -e .")
    chosen = options.who.split(",")
    values: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="ganglion-bench-", dir=real_disk(options.dir)) as place:
        for round in range(options.rounds):
            for setting in SETTINGS:
                for who in chosen:
                    directory = Path(place) / f"{who}-{setting.sync_interval}-{round}"
                    directory.mkdir()
                    for figure, value in _measure(CONTESTANTS[who], directory, setting.sync_interval).items():
                        values[setting.name, figure, who].append(value)
                        say(f"round {round + 1} of {options.rounds}: {setting.name}{figure}, {who}: {value:,.1f}")
        title = f"trigger: median of {options.rounds} rounds, in turn, on {file_system(Path(place))} at {place}"
    rows = [
        _row(setting, figure, who, values[setting.name, figure, who])
        for setting in SETTINGS
        for figure in UNITS
        for who in chosen
    ]
    show(title, rows, as_json=options.json)


def _row(setting: Setting, figure: str, who: str, values: list[float]) -> Row:
    goal = setting.goals.get((who, figure))
    return median("trigger", who, setting.name + figure, values, UNITS[figure], goal=goal)


def _measure(contestant: Contestant, directory: Path, sync_interval: str) -> dict[str, float]:
    with contestant(directory, sync_interval) as url:
        _through(url, 0, WARM_UP, 0)
        sent, seen = _through(url, WARM_UP, BURST, 0)
        rate = BURST / (max(seen) - sent[0])
        sent, seen = _through(url, WARM_UP + BURST, STEADY, RATE)
    times = sorted(1000 * (end - begin) for begin, end in zip(sent, seen, strict=True))
    return {BURST_RATE: rate, HALF: statistics.median(times), WORST: times[round(len(times) * 0.99)]}


def _through(url: str, first: int, count: int, rate: int) -> tuple[list[float], list[float]]:
    """Send numbered messages; when each was handed over, and when its completion was seen."""
    numbers = [str(first), str(count)]
    subscribe = [sys.executable, "messages/subscriber.py", url, COMPLETED, *numbers, str(ADDED)]
    publish = [sys.executable, "messages/publisher.py", url, SUBJECT, *numbers, str(rate)]
    with subprocess.Popen(subscribe, stdout=subprocess.PIPE, cwd=BENCH) as subscriber:
        assert subscriber.stdout is not None
        if subscriber.stdout.readline() != b"ready\n":
            sys.exit(f"the subscriber could not subscribe to {COMPLETED} at {url}")
        published = subprocess.run(publish, stdout=subprocess.PIPE, cwd=BENCH, check=True)
        seen = subscriber.stdout.read()
    if subscriber.returncode:
        sys.exit(1)
    return json.loads(published.stdout), json.loads(seen)


if __name__ == "__main__":
    main()

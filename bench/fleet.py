"""Many agents on one server: messages shared by 1, 2 and 4 of them; facts through a relay, and into a recorder.

Agents are installed `ganglion up` processes on one plain nats-server. Relay and recorder are measured alone, each with
a real store on the disk, beside the NATS library's own publisher and consumer, which keep nothing.
"""

import sys
from pathlib import Path

from fleets import facts, triggers
from measure.figures import US, Goal
from measure.rounds import Run, main

BARE = "bare nats-py"
MESSAGES, FACTS = 3_000, 50_000
RELAYED, RECORDED = "facts relayed", "facts recorded"
RUNS = (
    *(
        Run(who=US, case=f"executions, {agents} agent{'s' * (agents > 1)}", executions=MESSAGES, at_once=agents)
        for agents in (1, 2, 4)
    ),
    Run(who=US, case=RELAYED, executions=FACTS, goal=Goal(10_000)),
    Run(who=BARE, case=RELAYED, executions=FACTS),
    Run(who=US, case=RECORDED, executions=FACTS, goal=Goal(5_000)),
    Run(who=BARE, case=RECORDED, executions=FACTS),
)


def code(run: Run, directory: Path) -> float:
    """One run."""
    ours = run.who == US
    if run.case == RELAYED:
        return (facts.relayed if ours else facts.published)(directory, run.executions)
    if run.case == RECORDED:
        return (facts.recorded if ours else facts.consumed)(directory, run.executions)
    if not triggers.GANGLION.exists():
        sys.exit(f"there is no {triggers.GANGLION}: install Ganglion into this environment first, pip install -e .")
    return triggers.rate(directory, run.at_once, run.executions)


if __name__ == "__main__":
    main("fleet", RUNS, code, unit="/s", about=__doc__ or "")

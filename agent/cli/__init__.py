"""The commands. Each file holds one group; what is heavy is imported inside the commands that need it.

root.py         the list of all commands
options.py      options that many commands share
failure.py      exit codes, and how a command gives up
delivery.py     what was written has arrived
typos.py        what was meant by a command line that is none
screen.py       tables, lines and JSON on standard output
picture.py      one execution as people see it
follow.py       events of the past, and on from there
complete.py     what the shell can complete
addressed.py    the options that say which agent is meant
reach.py        from a command to the agent that is to carry it out
fleetwide.py    the same question to many agents; selection.py: to which
whereabouts.py  why an agent does not answer
models/         the commands about models, a file for each
"""

import sys

from agent.cli.delivery import delivered


def main() -> None:
    """The console script `ganglion`."""
    words = (["--version"], ["-V"], ["version"])
    if sys.argv[1:2] in words and sys.argv[2:] in ([], ["--json"]):  # before slow imports
        sys.exit(delivered(_version))
    from agent.collector import start_unwatched

    start_unwatched()
    from agent.cli.root import run

    sys.exit(delivered(run))


def _version() -> int:
    from agent.build import version_json, version_text

    sys.stdout.write(version_json() if sys.argv[2:] else version_text())
    return 0

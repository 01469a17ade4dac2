"""How Python's collector of cyclic garbage is set."""

import gc

STARTING = 100_000
"""Objects that a start makes before the collector looks for garbage among them. Nearly all are there to stay: with
Python's own setting it walked through them 150 times, which took a tenth of the time until an agent was ready."""


def start_unwatched() -> None:
    """For the start of a program; an agent goes on to `spare_what_stays`."""
    gc.set_threshold(STARTING, 10, 10)


def spare_what_stays() -> None:
    """Tell the collector that what the start made is here to stay, and to look at new things less often.

    Modules, node types and compiled workflows are most of the objects of an agent. Walking through them again and again
    cost a tenth of the time of small executions, and a third of that of one with 10,000 nodes. Not even now: there are
    800 objects of garbage among them, which take less memory than finding them takes time.
    """
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)

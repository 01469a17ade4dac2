"""How Python's collector of cyclic garbage is set in an agent."""

import gc


def spare_what_stays() -> None:
    """Tell the collector that what the start made is here to stay, and to look at new things less often.

    Modules, node types and compiled workflows are most of the objects of an agent. Walking through them again and again
    cost a tenth of the time of small executions, and a third of that of one with 10,000 nodes.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)

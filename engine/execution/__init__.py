"""One execution under way, and how it goes on after a crash.

An execution is a tree of frames: the workflow, and each open body of a control-flow node. Reading order:

    run.py          one graph in memory: who has settled, who may start now (pure)
    frame.py        one run of a graph within an execution; work.py is what happened in frames and is to be taken up
    inputs.py       what a node's fields can see
    attempt.py      one try of one node; attempts.py starts them, as many as may run
    context.py      what a node's code may use; services.py is where that comes from; state.py values that outlive it
    writing.py      a text that an attempt writes, told live; waiting.py what an attempt waits for with others
    caching.py      results that are used again; recall.py is what one attempt has to do with that
    settlement.py   from an outcome to states, rows, facts and the nodes that may start; retry.py for how long to wait
    constructs.py   control-flow nodes that are open: asks them what runs next, and runs it
    journal.py      everything that became true in one step; checkpoint.py is that unit
    pace.py         how often it is committed
    runner.py       drives one execution; lifetime.py ends it in time, node_timers.py wakes its sleepers
    restoration.py  what the rows of an interrupted one say; large.py which large values that needs
    metering.py     what limits mean for one execution
    control/        the node types that are the engine's own
"""

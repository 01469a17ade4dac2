"""How executions flow: in which order they start, how many at once and how fast, and how many may wait.

A workflow without `flow:` has none of this and costs nothing here. The store is the queue: what an execution needs to
be started in its turn is a row (`engine.store.turns`), written in the commit that takes it in, so that a restart finds
the same order. Memory holds the first few of each workflow.

Reading order, the way of a message:

    placing.py    its key, its priority, its id for the dedupe, from the expressions of its workflow
    entrance.py   inside the commit: does the queue have room, whom does it supersede or drop
    door.py       the water marks of one queue
    line.py       one workflow in memory: the first few that may start, how many run, how many wait
    rate.py       when the next one may start
    lines.py      all of them: who starts next
"""

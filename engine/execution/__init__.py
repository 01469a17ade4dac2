"""How a workflow runs, and how it goes on after a crash.

Reading order:

    plan.py       a Workflow compiled once: edges, levels, programs of the fields (pure)
    rules.py      when a node starts, when it is skipped, how an execution ends (pure; a truth table in the tests)
    run.py        one execution in memory: who has settled, who may start now (pure)
    attempt.py    one try of one node: parameters, code, outcome
    retry.py      how long until the next try
    context.py    what a node's code may use
    checkpoint.py results, state, facts and publications as one unit of the store
    settlement.py from an outcome to states, rows, facts and the nodes that may start
    runner.py     drives a run: starts attempts, commits what they return
    executor.py   all runs of this agent: slots, timers, recovery
    queue.py      what waits for a slot
    preparation.py, successor.py   from an id to a runner; the execution that a failure starts
    steering.py   what people ask: pause, resume, cancel, resolve
    catalogue.py  deployed definitions and their plans
    control/      the node types that are the engine's own: if, switch, sleep
"""

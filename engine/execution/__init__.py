"""How a workflow runs, and how it goes on after a crash.

Reading order:

    plan.py         a Workflow compiled once: edges, levels, programs of the fields (pure)
    parameters.py   a node's fields as written -> the struct that its code gets
    rules.py        when a node starts, when it is skipped, how an execution ends (pure; a truth table in the tests)
    run.py          one execution in memory: who has settled, who may start now (pure)
    inputs.py       what a node's fields can see
    attempt.py      one try of one node
    context.py      what its code may use; services.py is where that comes from
    settlement.py   from an outcome to states, rows, facts and the nodes that may start; retry.py for how long to wait
    journal.py      everything that became true in one step, as one commit; checkpoint.py is that unit
    runner.py       drives a run; node_timers.py wakes its sleepers; restoration.py takes up an interrupted one
    executor.py     all runs of this agent: slots, timers, recovery; queue.py is what waits for a slot
    preparation.py  from an id in the queue to a runner; successor.py is the execution that a failure starts
    steering.py     what people ask: pause, resume, cancel, resolve
    catalogue.py    deployed definitions and their plans
    metering.py     what limits mean for one execution; closing.py ends one that nobody runs
    state.py        what a node may do with values that outlive executions
    control/        the node types that are the engine's own: if, switch, sleep
"""

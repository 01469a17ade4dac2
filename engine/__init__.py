"""What a workflow is, and how an execution of it survives a crash.

Nothing here imports the other folders; what the engine needs from outside it states in `ports`.

Reading order, the way of a message:

    triggers/     a message arrives, is matched and decoded, and is committed with its executions
    definition/   the file that a person wrote, as an immutable `Workflow`
    expressions/  the small language inside its fields
    planning/     a workflow compiled once
    execution/    one execution under way: frames, attempts, checkpoints, recovery
    flow/         how the executions of a workflow follow each other
    dispatch/     all executions of this agent: slots, queue, timers, definitions
    steering/     what people ask of executions: pause, cancel, run again, fork
    limits/       what an execution uses up, and where it has to stop
    resources/    how loaded the machine is, and how much may run on it
    contract      what a node type is, and what its code may use
    store/        SQLite: one writer, one transaction per checkpoint
    events/       what happened: durable facts and live events
    control/      what people and programs may ask of it
    engine.py     the whole, put together

Below these stand the words that all share: values, secrets, states, ids, clock, quantities, subjects, schedule,
whole_file.
"""

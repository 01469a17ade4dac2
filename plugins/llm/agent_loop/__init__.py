"""`agent_loop`: a model that acts by tools until it has an answer; every turn and every call is a checkpoint.

    turn ──> calls? ── no ──> the answer
     ^         │ yes, one after the other
     │         ├── does not fit, or not allowed ──> the model is told ─┐
     │         ├── a person must allow it ──> approval ──> denied ─────┤
     │         └── tool ──> its result, or its error ──> stop_when ────┤
     └── the older turns become a note (memory) <──────────────────────┘

Paths of an execution: act/turn[0]/model, act/tool[0]/read_sensor, act/approval[0]/ask, act/stop[0],
act/summary[0]/note.

Reading order:

    params.py      the fields of a node
    check.py       what is wrong with them before anything runs
    bodies.py      the nodes that it makes of them, beside the tools that stand in the file
    transcript.py  what was said, for the model and for people
    memory.py      how much of that the model is told again
    guard.py       which calls may be made: arguments, repetitions, untrusted data, approvals
    loop.py        the state machine
    node_type.py   all of it, as a node type
"""

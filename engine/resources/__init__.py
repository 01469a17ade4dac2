"""How loaded the machine is, and how much may run on it: many executions at rest, few under pressure.

Reading order:

    gauge.py       what a gauge of the load is
    machine.py     the real one: psutil, and the limits of the control group that we run in
    cgroup.py      those limits
    scheduling.py  what a person may set
    throttle.py    from loads to a limit: smoothing, interpolation, hysteresis. Pure
    governor.py    the service: reads the gauge, sets the limit, tells of it
    resident.py    how much memory this process holds
    room.py        how much more it may take

The owner of psutil in the engine: it is imported at the first reading, so that an agent that never asks does not pay.
"""

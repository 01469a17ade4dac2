"""How loaded the machine is, and how much may run on it: many executions at rest, few under pressure.

Reading order:

    gauge.py       what a gauge of the load is
    machine.py     the real one: the machine's figures, and the limits of the control group that we run in
    figures.py     those figures
    cgroup.py      those limits
    scheduling.py  what a person may set
    throttle.py    from loads to a limit: smoothing, interpolation, hysteresis. Pure
    governor.py    the service: reads the gauge, sets the limit, tells of it
    resident.py    how much memory this process holds
    room.py        how much more it may take

The owner of psutil in the engine: it is imported where Linux does not tell by itself, so that others do not pay.
"""

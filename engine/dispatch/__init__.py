"""All executions of this agent: which definitions they run, who starts next, and what starts others.

catalogue.py    deployed definitions and their plans
queue.py        what waits for a slot; the store is the queue, memory its beginning
preparation.py  from an id in the queue to a runner; closing.py ends an execution that nobody runs
executor.py     slots, recovery at boot; timers.py tells it what is due
successor.py    the execution that a failure starts; children.py those that nodes start
"""

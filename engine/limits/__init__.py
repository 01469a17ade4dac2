"""What an execution uses up, and where it has to stop.

Reading order:

    tally.py    what became of the nodes of an execution, and what they used: kept for every execution
    account.py  what one node or one execution has used of its limits
    meter.py    the accounts of one execution: warnings, and limits that are reached
    growth.py   by how much the process grew while an execution ran alone

All of it is pure: the execution counts what happens, asks before it goes on, and writes down what it is told.
"""

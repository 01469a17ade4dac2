"""A workflow compiled once, shared by all its executions. Pure.

plan.py         edges as indices, levels, every field as a program; graphs inside graphs
parameters.py   a node's fields as written -> the struct that its code gets
rules.py        when a node starts, when it is skipped, how an execution ends (a truth table in the tests)
"""

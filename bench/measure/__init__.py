"""How the programs of bench/ measure, and how they show it.

figures.py   a figure; a table for people, a line of JSON for machines
rounds.py    contestants in turn, each run in a process of its own; medians
"""

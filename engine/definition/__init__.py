"""Workflow files: YAML, JSON or TOML becomes an immutable `Workflow`, or a list of problems a person can mend.

source.py     bytes -> a tree of plain data, with the line of every key
reader.py     tree -> Workflow, collecting every problem of the file
model.py      what a Workflow is
"""

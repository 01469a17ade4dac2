"""Workflow files: YAML, JSON or TOML becomes an immutable `Workflow`, or a list of problems a person can mend.

Reading order:

    source.py      bytes -> a tree of plain data, with the line of every key (yaml_, json_, toml_source.py)
    reader.py      tree -> Workflow, collecting every problem of the file
    model.py       what a Workflow is
    form.py        what may stand in a file, and what this version refuses
    fields.py      one object of a file against one struct
    parameters.py  declared parameters and their values
    trigger.py     the triggers
    flow.py        how executions flow: in which order, how fast, how many     flow_reader.py reads it
    budget.py      what may be used up, and what may fail: limits, degradation
    plain.py       the other fields of a workflow
    survey.py      where every node stands, and what is seen from there
    node.py        one node: the fields that any has        own_fields.py: those of its type
    bodies.py      the nodes inside a node
    statics.py     fields that are read at deploy           static_fields.py: several of them
    compiled.py    texts and expressions of a field, compiled
    formulas.py    fields that are evaluated per attempt    references.py: does what they refer to exist
    edges.py       do the nodes that stand together fit together
    graph.py       levels, or the cycle
    advice.py      what `ganglion check` says of a valid file
    schema.py      JSON Schema for editors
    template.py    workflow files with parameters of their own     yaml_writer.py writes what they give
    problems.py    what is wrong, said so that a person can mend it
"""

from engine.definition.model import Workflow
from engine.definition.parameters import bind_params, parse_param
from engine.definition.problems import InvalidWorkflow, Problem
from engine.definition.reader import load_workflow, workflow_from_source, workflow_from_tree
from engine.definition.schema import json_schema
from engine.definition.source import Source, canonical, definition_hash, parse_tree
from engine.quantities import format_duration, format_size, parse_duration, parse_size

__all__ = [
    "InvalidWorkflow",
    "Problem",
    "Source",
    "Workflow",
    "bind_params",
    "canonical",
    "definition_hash",
    "format_duration",
    "format_size",
    "json_schema",
    "load_workflow",
    "parse_duration",
    "parse_param",
    "parse_size",
    "parse_tree",
    "workflow_from_source",
    "workflow_from_tree",
]

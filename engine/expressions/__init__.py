"""The small language inside the fields of a workflow: Jinja's expressions over JSON, and nothing else.

    nodes.triage.level != "normal"                      an expression            compile_expression
    "{{ trigger.data.device }} is warm"                 a text                   compile_text
    {"to": "{{ params.to }}", "tags": ["a", "{{ x }}"]}   a tree of texts          compile_tree

Each gives a `Program`, compiled once: closures over a `Scope`, which never touch anything but JSON data, cannot run
long, and give the same value when evaluated again. Its `references` become the edges between nodes.

Reading order, the way of a source:

    tokens, parser, texts      characters -> tokens -> tree; every node knows its offset
    context                    the state of one compilation; what a compiled node is
    emit, paths, queries, calls, blocks, secret      tree -> closures, by construct
    operators, scope, limits   what the closures do with values, and what it may cost
    library, catalog, builtin/, higher, jsonpath     functions, filters and tests, each with a tested example
    program                    the three ways in
"""

from engine.expressions.catalog import FILTERS, FUNCTIONS, TESTS
from engine.expressions.errors import ExpressionError
from engine.expressions.library import Filter, Function, Test
from engine.expressions.program import Program, compile_expression, compile_text, compile_tree
from engine.expressions.reference import Reference
from engine.expressions.scope import Scope

__all__ = [
    "compile_expression",
    "compile_text",
    "compile_tree",
    "Program",
    "Reference",
    "Scope",
    "ExpressionError",
    "FUNCTIONS",
    "FILTERS",
    "TESTS",
    "Function",
    "Filter",
    "Test",
]

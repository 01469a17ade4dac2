# ruff: noqa: E501 - a table reads by its lines
"""JSONPath: ours beside jsonpath-ng, which is the oracle wherever both have a meaning."""

import re
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonpath_ng.ext import parse as oracle

from engine.expressions import ExpressionError, Scope, compile_expression
from engine.values import Json

CASES = [
    ("$triage.user.age", 41), ("$triage['user'].roles[0]", "admin"), ("$triage.user.roles[-1]", "ops"), ("$list.rows[*].n", [1, 3, 2]),
    ("$list..n", [1, 3, 2]), ("$triage..roles[0]", ["admin"]), ("$triage.user.*", [41, ["admin", "ops"]]), ("$list.rows[?(@.n > 1)].k", ["a", "b"]),
    ("$list.rows[?(@.ok)].n", [1, 2]), ("$list.rows[?(!@.ok)].n", [3]), ("$list.rows[?(@.k == 'b' && @.n < 2)].n", [1]),
    ("$list.rows[?(@.n == 3 || @.zzz == 1)].n", [3]), ("$list.rows[?(@.ok == true)].n", [1]), ("$list.rows[?(@.ok != true)].n", [3, 2]),
    ("$list.rows[?@.n >= 2].n", [3, 2]), ("$list.nope[*]", []), ("$list.rows[*].nope", []), ("$list.rows[9]|default(0)", 0), ("$list.rows[*]|length", 3),
    ("$nope.rows[*]|default(0)", 0), ("$list.rows[*].n|sum", 6), ("$list.rows[?(@.n > params.limit - 6)].n", [3]), ("$triage.level", "warning"),
    ("$list.rows.*.n", [1, 3, 2]), ("$triage..*|length", 6), ("$list.rows[?(@.k in ['a'])].n", [3]), ("$list.rows[?(@['n'] is odd)].n", [1, 3]),
    ("jsonpath('$.names[*]', params)", ["b", "a", "C"]), ("jsonpath('$', 1)", 1), ("jsonpath('$[0]', params.names)", "b"), ("jsonpath('$..x', 1)", []),
    ("jsonpath('$.rows[?(@.n > ' ~ 2 ~ ')].n', nodes.list)", [3]), ("jsonpath('$.a[*]', {})", []), ("$triage.user.age * 2", 82),
]  # fmt: skip


@pytest.mark.parametrize(("source", "expected"), CASES, ids=[source for source, _ in CASES])
def test_jsonpath_gives(source: str, expected: Json, evaluate: Callable[[str], Json]) -> None:
    assert evaluate(source) == expected


def test_a_node_that_did_not_complete_is_undefined(evaluate: Callable[[str], Json]) -> None:
    with pytest.raises(ExpressionError, match=re.escape("nodes.alert is undefined")):
        evaluate("$alert.rows[*].n")


def test_conditions_compare_kinds_as_strictly_as_everywhere() -> None:
    scope = Scope({"nodes": {"a": [{"x": "7.5"}]}}, now=0, seed="")
    with pytest.raises(ExpressionError, match="cannot order"):
        compile_expression("$a[?(@.x > 8)]").evaluate(scope)


def test_a_path_in_quotes_sees_its_value_alone() -> None:
    with pytest.raises(ExpressionError, match="sees its value alone, not nodes"):
        compile_expression("jsonpath('$.a[?(@.x == nodes.b)]', {'a': [1]})").evaluate(Scope({}, now=0, seed=""))


NAMES = st.sampled_from(["a", "b", "c"])
DATA = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["x", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=12,
)
STEPS = NAMES.map(lambda name: f".{name}") | NAMES.map(lambda name: f"..{name}")


@settings(max_examples=150, deadline=None)
@given(DATA, st.lists(STEPS, min_size=1, max_size=4))
def test_selects_what_jsonpath_ng_selects(value: Json, steps: list[str]) -> None:
    # Names only: jsonpath-ng has [0] and [*] of what is no list, where we follow RFC 9535.
    path = "$" + "".join(steps)
    expected = [match.value for match in oracle(path).find(value)]
    try:
        found = compile_expression("jsonpath(p, x)").evaluate(Scope({"p": path, "x": value}, now=0, seed=""))
    except ExpressionError:  # a definite path that is not there
        found = []
    else:
        found = found if ".." in path else [found]
    assert sorted(map(repr, found)) == sorted(map(repr, expected))

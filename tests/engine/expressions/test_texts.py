# ruff: noqa: E501 - a table reads by its lines
"""Texts and trees: what prints how, what keeps its type, what is returned as it is."""

from collections.abc import Callable

import pytest

from engine.expressions import ExpressionError, Scope, compile_expression, compile_text, compile_tree
from engine.values import Json

ROWS = "nodes.list.rows"
CASES = [
    ("plain", "plain"), ("", ""), ("costs $5 {x} }} %}", "costs $5 {x} }} %}"), ("{{ params.limit }}", 8),
    ("{{ params.names }}", ["b", "a", "C"]), ("{{- params.limit -}}", 8), (" {{ params.limit }}", " 8"), ("{{ 'a' }}", "a"), ("{{ 1 }}", 1),
    ("{# note #}{{ params.limit }}", 8), ("{{ {'a': {'b': 1}} }}", {"a": {"b": 1}}), ("{{ {'a': {'b': 1}}.a.b }}", 1),
    ("{{ null }} {{ true }} {{ 1.0 }} {{ [1, 'a'] }} {{ {'k': null} }}", 'null true 1.0 [1,"a"] {"k":null}'),
    ("a  {{- 1 -}}  b", "a1b"), ("a\n{%- if true -%}\n b \n{%- endif -%}\n c", "abc"), ("a {#- x -#} b", "ab"),
    ("{{ '{{' }} x {{ '}}' }}", "{{ x }}"), ("{{ '}}' }}", "}}"), ("{% raw %}{{ x }}{% y %}{% endraw %}!", "{{ x }}{% y %}!"),
    ("a {%- raw -%} x {%- endraw -%} b", "axb"), ("{% if params.limit > 3 %}big{% else %}small{% endif %}", "big"),
    ("{% if 0 %}a{% elif '' %}b{% elif 1 %}c{% else %}d{% endif %}", "c"), ("{% if 0 %}a{% endif %}", ""), ("{% if 1 %}{{ 2 }}{% endif %}", "2"),
    (f"{{% for r in {ROWS} %}}{{{{ r.n }}}}{{% if not loop.last %}}, {{% endif %}}{{% endfor %}}", "1, 3, 2"),
    (f"{{% for r in {ROWS} if r.k == 'b' %}}{{{{ loop.index }}}}/{{{{ loop.length }}}}:{{{{ r.n }}}} {{% endfor %}}", "1/2:1 2/2:2 "),
    ("{% for k, v in nodes.triage.user|items %}{{ k }}={{ v }};{% endfor %}", 'age=41;roles=["admin","ops"];'),
    ("{% for x in [] %}a{% else %}none{% endfor %}", "none"), ("{% for k in {'a': 1} %}{{ k }}{% endfor %}", "a"),
    ("{% for x in [[1, 2], [3]] %}{% for y in x %}{{ loop.index0 }}{{ y }} {% endfor %}{{ loop.first }};{% endfor %}", "01 12 true;03 false;"),
    ("{% for x in [1, 2] %}{{ loop.revindex }}{{ loop.revindex0 }}{% endfor %}", "2110"), ("{{ 5 % 3 }}{% if 5 % 3 == 2 %}y{% endif %}", "2y"),
    ("{{ 'a' if false else params.limit }}", 8), ("{{ 1 }}{{ 2 }}", "12"), ("{% if true %}{% endif %}", ""),
]  # fmt: skip


@pytest.mark.parametrize(("source", "expected"), CASES, ids=[source for source, _ in CASES])
def test_text_gives(source: str, expected: Json, render: Callable[[str], Json]) -> None:
    result = render(source)
    assert result == expected
    assert type(result) is type(expected)


def test_what_reads_nothing_is_constant() -> None:
    assert compile_text("plain {").constant
    assert compile_text("{{ 1 + 1 }}{{ '{{' }}").constant
    assert compile_expression("60 * 60|abs").constant
    assert not compile_text("{{ params.limit }}").constant
    assert not compile_expression("now()").constant
    assert not compile_text("{{ secrets.A }}").constant


def test_tree_evaluates_each_string_and_takes_keys_as_they_are(scope: Scope) -> None:
    tree = {
        "{{ params.limit }}": "{{ params.limit }}",
        "a": ["{{ trigger.data.device }}!", 1, None],
        "b": {"c": "{{ 1 }}"},
    }
    expected = {"{{ params.limit }}": 8, "a": ["fridge-7!", 1, None], "b": {"c": 1}}
    assert compile_tree(tree).evaluate(scope) == expected


def test_constant_parts_of_a_tree_are_returned_as_they_are(scope: Scope) -> None:
    part = {"deep": [1, {"a": "plain"}]}
    program = compile_tree({"same": part, "other": "{{ params.limit }}"})
    assert program.evaluate(scope)["same"] is part
    whole = compile_tree(part)
    assert whole.constant
    assert whole.evaluate(scope) is part


def test_tree_of_one_string_is_that_text(scope: Scope) -> None:
    assert compile_tree("{{ params.names }}").evaluate(scope) == ["b", "a", "C"]
    assert compile_tree(7).evaluate(scope) == 7


def test_an_error_in_a_tree_knows_where() -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_tree({"a": [{"b": "x {{ y | }}"}]})
    assert caught.value.path == ("a", 0, "b")
    assert caught.value.source == "x {{ y | }}"


def test_a_program_never_changes_and_is_cached() -> None:
    program = compile_text("{{ params.limit }}")
    with pytest.raises(AttributeError, match="a program never changes"):
        program.source = "x"
    assert compile_text("{{ params.limit }}") is program


def test_a_result_that_holds_one_part_too_often_is_refused() -> None:
    scope = Scope({"x": {"rows": list(range(50_000))}}, now=0, seed="")
    source = "[" + ", ".join(["x.rows"] * 50) + "]"
    with pytest.raises(ExpressionError, match="the result is more than 8388608 characters of JSON"):
        compile_expression(source).evaluate(scope)
    with pytest.raises(ExpressionError, match="the result is more than 8388608 characters of JSON"):
        compile_tree(["{{ x.rows }}"] * 50).evaluate(scope)

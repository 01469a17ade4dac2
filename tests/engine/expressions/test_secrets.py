# ruff: noqa: E501 - a table reads by its lines
"""A secret passes through as a marker, and nothing ever looks at it."""

import pytest

from engine.expressions import ExpressionError, Scope, compile_expression, compile_text, compile_tree
from engine.secrets import SecretName, SecretText
from engine.values import Json

PASSED = [
    ("{{ secrets.TOKEN }}", ("TOKEN",)),
    ("{{ secrets['TOKEN'] }}", ("TOKEN",)),
    ("Bearer {{ secrets.TOKEN }}", ("Bearer ", "TOKEN")),
    ("{{ 'Bearer ' ~ secrets.TOKEN }}", ("Bearer ", "TOKEN")),
    ("{{ params.limit }}:{{ secrets.A }}{{ secrets.B }}", ("8", ":", "A", "B")),
    ("{% if params.limit %}{{ secrets.A }}{% endif %}", ("A",)),
    ("{% for x in [1, 2] %}{{ secrets.A }}{% endfor %}", ("A", "A")),
]
REFUSED = [
    "secrets", "secrets.A|upper", "secrets.A == 'x'", "len(secrets.A)", "secrets.A[0]", "secrets.A.b", "secrets.A and 1", "not secrets.A",
    "secrets.A is defined", "secrets.A|default('')", "[secrets.A]", "{'a': secrets.A}", "1 if secrets.A else 2", "secrets.A if true else 2",
    "secrets.A + 'x'", "('x' ~ secrets.A)|upper", "'x' ~ (1 ~ secrets.A)|length", "secrets[params.x]", "secrets['../x']", "secrets['']", "secrets[0]",
    "params[secrets.A]", "secrets.A in 'x'", "'x' in secrets.A", "secrets|items", "$a[?(@.x == secrets.A)]", "['a']|map('replace', 'a', secrets.A)",
]  # fmt: skip


@pytest.mark.parametrize(("source", "parts"), PASSED, ids=[source for source, _ in PASSED])
def test_a_secret_may_stand(source: str, parts: tuple[str, ...], scope: Scope) -> None:
    result = compile_text(source).evaluate(scope)
    assert type(result) is SecretText
    assert tuple(part for part in result.parts if part) == parts
    assert all(isinstance(part, SecretName) is part.isupper() for part in result.parts if part)


@pytest.mark.parametrize("source", REFUSED)
def test_a_secret_is_refused_when_compiled(source: str) -> None:
    with pytest.raises(ExpressionError, match="secret"):
        compile_expression(source)


def test_a_secret_in_a_loop_or_condition_of_a_text_is_refused() -> None:
    for source in ("{% if secrets.A %}{% endif %}", "{% for x in secrets.A %}{% endfor %}"):
        with pytest.raises(ExpressionError, match="never looked at"):
            compile_text(source)


def test_a_secret_in_a_tree_stays_a_marker(scope: Scope) -> None:
    value = compile_tree({"url": "https://x/{{ secrets.KEY }}", "n": "{{ params.limit }}"}).evaluate(scope)
    assert value == {"url": "https://x/[secret KEY]", "n": 8}
    assert type(value["url"]) is SecretText


LOOKS: list[Json] = [
    "x|upper",
    "x == 'a'",
    "x|tojson",
    "x[0]",
    "x|length",
    "not x",
    "[x]|join(',')",
    "x is eq 'a'",
    "x in 'a'",
    "x|hash",
    "[x]|unique",
]


@pytest.mark.parametrize("source", LOOKS)
def test_a_secret_that_is_a_value_of_the_scope_is_not_looked_at_either(source: str) -> None:
    scope = Scope({"x": SecretText(SecretName("A"))}, now=0, seed="")
    with pytest.raises(ExpressionError, match="secret"):
        compile_expression(source).evaluate(scope)

# ruff: noqa: E501 - a table reads by its lines
"""Whatever the source and the values: an error that is ours, or data; the same again; and nothing changed."""

import copy
from collections.abc import Callable

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.expressions import (
    FILTERS,
    FUNCTIONS,
    TESTS,
    ExpressionError,
    Program,
    Scope,
    compile_expression,
    compile_text,
    compile_tree,
)
from engine.values import Json, check_value

KEYS = st.sampled_from(["a", "b", "n", "level", "x y"])
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.integers(-3, 3)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
    | st.sampled_from(["1", "7.5", "2026-11-21T10:15:00Z", "90s", "a,b", "[1]", "(a+)+"])
)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)
WORDS = [
    *["a", "b", "n", "nodes", "trigger", "$a", "@", "secrets", "item", "loop", "true", "null", "1", "0", "-1", "2.5", "''", "'a'", '"n"', "9223372036854775807"],
    *["+", "-", "*", "/", "//", "%", "**", "~", "==", "!=", "<", "<=", ">", ">=", "in", "not", "not in", "is", "is not", "and", "or", "&&", "||", "!"],
    *["(", ")", "[", "]", "{", "}", ".", "..", ",", ":", "|", "?", "=", "if", "else", "[*]", "[?(", ")]"],
    *FILTERS, *FUNCTIONS, *TESTS, *[f"{name}(" for name in FUNCTIONS], *[f"|{name}" for name in FILTERS],
]  # fmt: skip
TAGS = ["{{", "}}", "{{-", "-}}", "{%", "%}", "{% if", "{% elif", "{% else %}", "{% endif %}", "{% for x in", "{% for k, v in", "{% endfor %}", "{% raw %}", "{% endraw %}", "{#", "#}", "text", "\n"]  # fmt: skip
SOUP = st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join)
TEXT_SOUP = st.lists(st.sampled_from(WORDS + TAGS * 6), max_size=16).map(" ".join)


OPERATORS = ["+", "-", "*", "/", "//", "%", "**", "~", "==", "!=", "<", "<=", ">", ">=", "in", "not in", "and", "or"]


def expressions() -> st.SearchStrategy[str]:
    """Sources that are expressions, so that evaluation is reached."""
    paths = st.sampled_from(
        ["a", "b", "nodes.a", "nodes.a.n", "a[0]", "b['n']", "trigger.data", "$a.b", "$a..n", "$a[*]", "c.d"]
    )
    atoms = paths | SCALARS.filter(lambda value: not isinstance(value, float) or "e" not in repr(value)).map(literal)

    def compound(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        operators = st.sampled_from(OPERATORS)
        filters = st.sampled_from(sorted(FILTERS))
        return st.one_of(
            st.tuples(inner, operators, inner).map(lambda t: f"({t[0]}) {t[1]} ({t[2]})"),
            st.tuples(inner, filters).map(lambda t: f"({t[0]})|{t[1]}"),
            st.tuples(inner, filters, inner).map(lambda t: f"({t[0]})|{t[1]}({t[2]})"),
            st.tuples(inner, filters, inner, inner).map(lambda t: f"({t[0]})|{t[1]}({t[2]}, {t[3]})"),
            st.tuples(inner, st.sampled_from(sorted(TESTS))).map(lambda t: f"({t[0]}) is {t[1]}"),
            st.tuples(st.sampled_from(sorted(FUNCTIONS)), inner, inner).map(lambda t: f"{t[0]}({t[1]}, {t[2]})"),
            st.tuples(st.sampled_from(sorted(FUNCTIONS)), inner).map(lambda t: f"{t[0]}({t[1]})"),
            st.tuples(inner, inner, inner).map(lambda t: f"({t[0]}) if ({t[1]}) else ({t[2]})"),
            st.tuples(inner, inner).map(lambda t: f"[{t[0]}, {t[1]}]"),
            st.tuples(inner, inner).map(lambda t: f"({t[0]})[{t[1]}]"),
            st.tuples(inner, inner).map(lambda t: f"({t[0]})|default({t[1]})"),
            inner.map(lambda one: f"{{'n': {one}}}"),
            inner.map(lambda one: f"not ({one})"),
            inner.map(lambda one: f"-({one})"),
        )

    return st.recursive(atoms, compound, max_leaves=8)


def literal(value: Json) -> str:
    if isinstance(value, str):
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    return {None: "null"}.get(value, repr(value).lower()) if value is None or isinstance(value, bool) else repr(value)


def hold(compile_source: Callable[[Json], Program], source: Json, values: dict[str, Json]) -> None:
    before = copy.deepcopy(values)
    scope = Scope(values, now=1_000_000, seed="s")
    outcomes: list[tuple[str, object]] = []
    for _ in range(2):
        try:
            result = compile_source(source).evaluate(scope)
            check_value(result, max_depth=200)
            outcomes.append(("value", msgspec.json.encode(result)))
        except ExpressionError as error:
            outcomes.append(("error", str(error) if 0 <= error.offset <= len(error.source) else None))
    assert outcomes[0] == outcomes[1] != ("error", None)
    assert values == before


def scope_values(value: Json, other: Json) -> dict[str, Json]:
    return {"a": value, "b": other, "n": 2, "item": other, "nodes": {"a": value}, "trigger": {"data": other}}


@settings(max_examples=300, deadline=None)
@given(SOUP, JSON, JSON)
def test_any_words_are_an_error_or_data(source: str, value: Json, other: Json) -> None:
    hold(compile_expression, source, scope_values(value, other))


@settings(max_examples=200, deadline=None)
@given(TEXT_SOUP, JSON, JSON)
def test_any_text_is_an_error_or_data(source: str, value: Json, other: Json) -> None:
    hold(compile_text, source, scope_values(value, other))
    hold(compile_tree, {"k": [source, "{{ a }}", 1]}, scope_values(value, other))


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=40))
@example("\ud800")
def test_any_characters_are_an_error_or_data(source: str) -> None:
    hold(compile_expression, source, {})
    hold(compile_text, source, {})
    hold(compile_text, "{{" + source + "}}", {})


@settings(max_examples=600, deadline=None)
@given(expressions(), JSON, JSON)
def test_any_expression_is_an_error_or_data(source: str, value: Json, other: Json) -> None:
    hold(compile_expression, source, scope_values(value, other))


@settings(max_examples=300, deadline=None)
@given(SCALARS)
def test_a_literal_gives_its_value(value: Json) -> None:
    result = compile_expression(literal(value)).evaluate(Scope({}, now=0, seed=""))
    assert result == value
    assert type(result) is type(value)


@settings(max_examples=200, deadline=None)
@given(JSON)
def test_one_pair_of_braces_keeps_the_value(value: Json) -> None:
    assert compile_text("{{ a }}").evaluate(Scope({"a": value}, now=0, seed="")) is value

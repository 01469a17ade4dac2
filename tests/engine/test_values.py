"""What may come in from outside."""

import enum
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.values import INT_MAX, INT_MIN, InvalidValue, check_value, decode_json, encode_json, kind_of

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(INT_MIN, INT_MAX) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@given(json_values)
def test_values_come_back_as_they_were(value):
    assert decode_json(encode_json(value)) == value


@given(st.binary(max_size=200))
def test_no_bytes_do_more_than_be_refused(body):
    try:
        value = decode_json(body)
    except InvalidValue:
        return
    check_value(value)


@given(st.text(alphabet='[]{}",:\\ab1 ', max_size=300))
def test_no_brackets_do_more_than_be_refused(text):
    try:
        decode_json(text.encode(), max_depth=5)
    except InvalidValue:
        return
    assert json.loads(text) is not ...


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"a":', b'"[" [', b"[1,"])
def test_deep_nesting_is_refused(opening):
    with pytest.raises(InvalidValue):
        decode_json(opening * 100_000)


@pytest.mark.parametrize("depth", [63, 64])
def test_nesting_up_to_the_limit_is_taken(depth):
    assert decode_json(b"[" * depth + b"]" * depth) is not None


def test_nesting_beyond_the_limit_is_refused():
    with pytest.raises(InvalidValue, match="nested deeper than 64 levels"):
        decode_json(b"[" * 65 + b"]" * 65)


def test_brackets_inside_texts_do_not_nest():
    assert decode_json(encode_json("[{" * 1000)) == "[{" * 1000
    assert decode_json(encode_json({'"[\\': "[" * 100})) == {'"[\\': "[" * 100}


def test_many_brackets_beside_each_other_do_not_nest():
    assert decode_json(b"[" + b"[]," * 1000 + b"[]]") == [[]] * 1001


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b"nul", "not valid JSON"),
        (b'"\xff"', "not valid JSON"),
        (b"[NaN]", "not valid JSON"),
        (b"1 2", "not valid JSON"),
        (b"9223372036854775808", "does not fit into 64 bits"),
        (b"-9223372036854775809", "does not fit into 64 bits"),
        (b'[1, {"a": 99999999999999999999}]', "64 bits|not a number"),
        (b'"' + b"x" * 100 + b'"', "102 bytes are more than the limit of 100"),
    ],
)
def test_what_is_refused_says_why(body, why):
    with pytest.raises(InvalidValue, match=why):
        decode_json(body, max_bytes=100)


def test_integers_stay_exact():
    assert decode_json(b"[9223372036854775807, -9223372036854775808]") == [INT_MAX, INT_MIN]


class Colour(enum.Enum):
    RED = 1


@pytest.mark.parametrize(
    "value", [math.nan, math.inf, 2**63, {1: 2}, {"a": {None: 1}}, object(), b"x", {1, 2}, Colour.RED, [[object()]]]
)
def test_values_that_are_no_json_are_refused(value):
    with pytest.raises(InvalidValue):
        check_value(value)


@pytest.mark.parametrize(
    ("value", "kind"),
    [(None, "null"), (True, "boolean"), (1, "number"), (1.5, "number"), ("", "string"), ([], "list"), ({}, "object")],
)
def test_kinds_have_names_for_people(value, kind):
    assert kind_of(value) == kind

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.values import Json, encode_json
from plugins.llm.errors import ModelError, Trouble
from plugins.llm.remote.ndjson import JsonLines


def read(*chunks: bytes, **bounds: int) -> list[Json]:
    lines = JsonLines(**bounds)
    return [value for chunk in chunks for value in lines.feed(chunk)] + lines.finish()


def test_a_line_is_a_value_and_the_last_one_may_lack_its_end() -> None:
    assert read(b'{"a": 1}\r\n\n  \n{"b": "\xc2', b'\xb0"}\n[3]') == [{"a": 1}, {"b": "°"}, [3]]


@pytest.mark.parametrize(
    ("body", "said"),
    [(b'{"a": "\xff"}\n', r"no UTF-8 \(ff 22 7d\)"), (b"<html>\n", "else than JSON"), (b'{"a": 1', "else than JSON")],
    ids=["no UTF-8", "no JSON", "cut off"],
)
def test_what_is_no_json_is_invalid_output(body: bytes, said: str) -> None:
    with pytest.raises(ModelError, match=said) as caught:
        read(body)
    assert caught.value.trouble is Trouble.INVALID


def test_a_giant_line_is_refused_before_it_is_whole() -> None:
    with pytest.raises(ModelError, match="a line of more than 100 bytes"):
        read(b'"', b"x" * 60, b"x" * 60, max_line=100)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-100, 100) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=200, deadline=None)
@given(st.lists(VALUES, max_size=6), st.lists(st.integers(0, 200), max_size=12), st.sampled_from([b"\n", b"\r\n"]))
def test_any_cutting_of_the_bytes_gives_the_same_values(values: list[Json], cuts: list[int], end: bytes) -> None:
    body = b"".join(encode_json(value) + end for value in values)
    edges = sorted({0, len(body), *(cut for cut in cuts if cut < len(body))})
    pieces = [body[start:stop] for start, stop in itertools.pairwise(edges)]
    assert read(*pieces) == read(*[bytes([byte]) for byte in body]) == values

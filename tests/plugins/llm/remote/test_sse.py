"""The examples are of the WHATWG standard's kind; the property holds them to one meaning however the bytes are cut."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugins.llm.errors import ModelError, Trouble
from plugins.llm.remote.sse import Event, EventStream


def read(*chunks: bytes, **bounds: int) -> list[Event]:
    stream = EventStream(**bounds)
    return [event for chunk in chunks for event in stream.feed(chunk)]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_end_with_cr_lf_or_both(end: str) -> None:
    text = "event: delta\ndata: one\ndata: two\n\ndata:three\n\n".replace("\n", end)
    assert read(text.encode()) == [Event("one\ntwo", "delta"), Event("three")]


def test_a_crlf_that_is_cut_in_two_is_one_line_end() -> None:
    assert read(b"data: a\r", b"\ndata: b\r", b"\n\r", b"\n") == [Event("a\nb")]


def test_an_event_is_there_with_its_empty_line_and_not_later() -> None:
    stream = EventStream()
    assert stream.feed(b"data: a\r\n") == []
    assert stream.feed(b"\r") == [Event("a")]
    assert stream.feed(b"\n") == []


def test_comments_unknown_fields_ids_and_retries_are_read_over() -> None:
    assert read(b": hello\nid: 7\nretry: 10\nfoo: bar\nbare\n\ndata: x\n:\n\n") == [Event("x")]


def test_an_event_without_data_is_none_and_its_name_is_forgotten() -> None:
    assert read(b"event: ping\n\ndata: x\n\n") == [Event("x")]


def test_empty_data_is_an_event() -> None:
    assert read(b"data\n\ndata\ndata\n\ndata:\n\n") == [Event(""), Event("\n"), Event("")]


def test_one_space_after_the_colon_is_not_of_the_value() -> None:
    assert read(b"data:  two\n\ndata:none\n\n") == [Event(" two"), Event("none")]


def test_a_byte_order_mark_at_the_beginning_is_read_over_even_in_pieces() -> None:
    assert read(b"\xef", b"\xbb", b"\xbfdata: x\n\n") == [Event("x")]
    assert read(b"data: x\n\xef\xbb\xbfdata: y\n\n") == [Event("x")]


def test_what_the_end_cuts_off_is_no_event() -> None:
    assert read(b"data: x\n\ndata: half\n") == [Event("x")]


def test_a_character_may_be_cut_anywhere() -> None:
    whole = "data: 14 °C 🌡\n\n".encode()
    for cut in range(len(whole)):
        assert read(whole[:cut], whole[cut:]) == [Event("14 °C 🌡")]


def test_bytes_that_are_no_utf8_are_invalid_output() -> None:
    with pytest.raises(ModelError, match=r"no UTF-8 \(ff 22\)") as caught:
        read(b'data: "\xff"\n\n')
    assert caught.value.trouble is Trouble.INVALID


def test_a_giant_line_and_a_giant_event_are_refused_before_they_are_whole() -> None:
    with pytest.raises(ModelError, match="a line of more than 100 bytes"):
        read(b"data: ", b"x" * 50, b"x" * 50, max_line=100)
    with pytest.raises(ModelError, match="an event of more than 100 bytes"):
        read(*[b"data: " + b"x" * 20 + b"\n"] * 5, max_event=100)


LINES = st.lists(
    st.one_of(
        st.sampled_from(["", "", "data", "data: ", "event: e", ": comment", "id: 1", "data:  x", "﻿data: y"]),
        st.text(alphabet=st.characters(blacklist_characters="\r\n", blacklist_categories=["Cs"]), max_size=8).map(
            lambda text: f"data: {text}"
        ),
    ),
    max_size=12,
)


@st.composite
def bodies(draw: st.DrawFn) -> tuple[bytes, list[int]]:
    text = draw(st.sampled_from(["", "﻿"]))
    for line in draw(LINES):
        text += line + draw(st.sampled_from(["\n", "\r\n", "\r"]))
    body = text.encode()
    return body, sorted(draw(st.lists(st.integers(0, len(body)), max_size=20)))


def reference(body: bytes) -> list[Event]:
    """The standard, word by word, over a body that is there as a whole."""
    events, data, name = [], [], ""
    for line in body.decode().removeprefix("﻿").replace("\r\n", "\n").replace("\r", "\n").split("\n")[:-1]:
        if line == "":
            if data:
                events.append(Event("\n".join(data), name or "message"))
            data, name = [], ""
        elif not line.startswith(":"):
            field, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if field == "data":
                data.append(value)
            elif field == "event":
                name = value
    return events


@settings(max_examples=300, deadline=None)
@given(bodies())
def test_any_cutting_of_the_bytes_gives_the_same_events(case: tuple[bytes, list[int]]) -> None:
    body, cuts = case
    edges = [0, *cuts, len(body)]
    pieces = [body[start:end] for start, end in itertools.pairwise(edges)]
    assert read(*pieces) == read(body) == read(*[bytes([byte]) for byte in body]) == reference(body)

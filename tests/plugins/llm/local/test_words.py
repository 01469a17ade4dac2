from hypothesis import given
from hypothesis import strategies as st

from plugins.llm.local.words import Words


def test_a_character_is_told_when_it_is_whole():
    words = Words()
    assert [words.add(bytes([byte])) for byte in "°€".encode()] == ["", "°", "", "", "€"]


def test_bytes_that_can_not_follow_are_not_taken():
    words = Words()
    words.add(b"\xe2")
    assert not words.takes(b"a")
    assert words.takes(b"\x82")
    assert words.add(b"\x82\xac") == "€"


def test_what_may_begin_a_stop_string_is_held_back_until_it_is_known():
    words = Words(["</end>"])
    assert words.add(b"a <") == "a "
    assert words.add(b"/en") == ""
    assert words.add(b"x") == "</enx"
    assert words.add(b"<") == ""
    assert words.end() == "<"
    assert words.text == "a </enx<"


def test_the_earliest_stop_string_counts():
    words = Words(["world", "lo w"])
    assert words.add(b"hello world") == "hel"
    assert words.stopped


@given(st.text(alphabet="ab°€<", max_size=40), st.lists(st.text(alphabet="ab°<", min_size=1, max_size=4), max_size=3),
       st.lists(st.integers(1, 5), min_size=1))  # fmt: skip
def test_however_the_bytes_are_cut_the_text_is_the_same(text, stops, sizes):
    words, told, rest, turn = Words(stops), [], text.encode(), 0
    while rest and not words.stopped:
        size = sizes[turn % len(sizes)]
        told.append(words.add(rest[:size]))
        rest, turn = rest[size:], turn + 1
    told.append("" if words.stopped else words.end())
    cuts = [text.find(stop) for stop in stops if stop in text]
    assert "".join(told) == words.text
    if cuts:
        assert words.stopped
        assert text.startswith(words.text)
        assert not any(stop in words.text for stop in stops)
    else:
        assert words.text == text

"""What nodes are writing now."""

from agent.written import KEPT, Written
from engine.events import Event, Kind


def event(kind: Kind, node: str = "a", execution: str = "x", **data: str) -> Event:
    return Event(kind=kind, time=0, execution=execution, node=node, data=data)


def piece(text: str, **more: str) -> Event:
    return event(Kind.LLM_TOKEN, text=text, **more)


def test_pieces_become_the_texts_of_their_nodes() -> None:
    written = Written("x")
    written.hear([piece("It "), piece("Oh", node="b"), piece("is"), piece("!", execution="y")])
    assert dict(written.texts) == {"a": "It is", "b": "Oh"}


def test_an_empty_piece_voids_what_came_before() -> None:
    written = Written("x")
    written.hear([piece("It is"), piece(""), piece("no")])
    assert dict(written.texts) == {"a": "no"}


def test_a_node_that_ended_writes_no_more() -> None:
    written = Written("x")
    written.hear([piece("It is"), event(Kind.NODE_COMPLETED)])
    assert not written.texts


def test_of_a_long_text_the_end_is_kept() -> None:
    written = Written("x")
    written.hear([piece("a" * KEPT), piece("b")])
    assert written.texts["a"] == "a" * (KEPT - 1) + "b"

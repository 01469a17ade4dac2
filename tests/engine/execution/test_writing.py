"""A text that is written is told live in pieces, and without the attempt's secrets however they are cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.contract import Done, Retry
from engine.events import Kind
from engine.execution.writing import INTERVAL_SECONDS, MAX_PIECE, Writing
from tests.engine.conftest import FakeClock

SECRETS = {"abcd": "[one]", "bX": "[two]", "ab": "[three]"}


def written(clock: FakeClock, masks: dict[str, str] | None = None) -> tuple[Writing, list[str]]:
    told: list[str] = []
    return Writing(clock, lambda: masks or {}, told.append), told


def test_the_first_piece_comes_at_once_and_the_next_ones_together(clock) -> None:
    writing, told = written(clock)
    for text in ("It", " is", " warm"):
        writing.add(text)
    assert told == ["It"]
    clock.advance(INTERVAL_SECONDS)
    writing.add("!")
    assert told == ["It", " is warm!"]


def test_the_rest_comes_at_the_end(clock) -> None:
    writing, told = written(clock)
    for text in ("It", " is", " warm"):
        writing.add(text)
    writing.end()
    writing.end()
    assert told == ["It", " is warm"]


def test_a_void_text_is_not_told_any_more(clock) -> None:
    writing, told = written(clock)
    for text in ("It", " is", "", "No"):
        writing.add(text)
    writing.end()
    assert told == ["It", "", "No"]


def test_pieces_are_no_larger_than_they_may_be(clock) -> None:
    writing, told = written(clock)
    writing.add("a" * (3 * MAX_PIECE + 1))
    assert [len(piece) for piece in told] == [MAX_PIECE] * 3 + [1]
    writing.add("b" * MAX_PIECE)
    assert len(told) == 5


@pytest.mark.parametrize("cut", range(1, 10))
def test_a_secret_in_two_pieces_is_masked(clock, cut) -> None:
    writing, told = written(clock, {"canary": "[secret KEY]"})
    text = "x canary y"
    writing.add(text[:cut])
    clock.advance(1)
    writing.add(text[cut:])
    writing.end()
    assert "".join(told) == "x [secret KEY] y"


@given(st.lists(st.text("abcdX", min_size=1, max_size=3), min_size=1, max_size=12))
def test_however_a_text_is_cut_it_is_masked_as_a_whole(pieces) -> None:
    clock = FakeClock()
    writing, told = written(clock, SECRETS)
    for piece in pieces:
        writing.add(piece)
        clock.advance(1)
    writing.end()
    assert not any(secret in "".join(told).replace("[one]", "·").replace("[two]", "·").replace("[three]", "·")
                   for secret in ("abcd", "bX", "ab"))  # fmt: skip


async def test_what_an_attempt_writes_is_told_with_its_place(rig) -> None:
    async def write(ctx, data):
        ctx.stream("It ")
        ctx.stream("is")
        return Retry("again") if ctx.attempt == 1 else Done(None)

    rig.acts["a"] = write
    row = await rig.run("name: w\nnodes: {a: {type: act, retry: {max: 1, delay: 0s}}}")
    events = [event for event in rig.seen if event.kind is Kind.LLM_TOKEN]
    assert [(event.execution, event.node, event.data) for event in events] == [
        (row.id, "a", {"text": "It "}),
        (row.id, "a", {"text": "is"}),
    ] * 2


async def test_a_secret_that_an_attempt_writes_is_masked(open_rig, secrets, acting) -> None:
    async def write(ctx, params):
        text = ctx.secret(params.token)
        ctx.stream(f"key {text[:7]}")
        ctx.stream(text[7:])
        return Done(None)

    acting.run = write
    async with open_rig(secrets=secrets, acting=acting) as rig:
        await rig.run('name: w\nnodes: {a: {type: act, token: "{{ secrets.KEY }}"}}')
        told = "".join(event.data["text"] for event in rig.seen if event.kind is Kind.LLM_TOKEN)
        assert told == "key [secret KEY]"


async def test_what_is_remembered_is_kept_with_the_result_and_for_all_workflows(rig, decoded) -> None:
    async def keep(ctx, data):
        known = await ctx.remembered("things", b"k")
        if known == {"x": 1}:
            return Done("known")
        ctx.remember("things", b"k", {"x": 1}, ttl=60)
        return Retry("not yet") if data and ctx.attempt == 1 else Done("new")

    rig.acts["a"] = keep
    failing = await rig.run("name: v\nnodes: {a: {type: act, data: true, retry: {max: 0}}}")
    assert failing.status == "failed"
    first = await rig.run("name: w\nnodes: {a: {type: act}}\noutputs: '{{ nodes.a }}'")
    assert decoded(first.outputs) == "new"  # what failed left nothing behind
    again = await rig.run("name: x\nnodes: {a: {type: act}}\noutputs: '{{ nodes.a }}'")
    assert decoded(again.outputs) == "known"


async def test_what_is_too_large_to_be_remembered_is_not(rig, decoded) -> None:
    async def keep(ctx, data):
        known = await ctx.remembered("things", b"k")
        ctx.remember("things", b"k", "x" * 70_000, ttl=60)
        return Done(isinstance(known, str))

    rig.acts["a"] = keep
    for name in "vw":
        row = await rig.run(f"name: {name}\nnodes: {{a: {{type: act}}}}\noutputs: '{{{{ nodes.a }}}}'")
        assert decoded(row.outputs) is False

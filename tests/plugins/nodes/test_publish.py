import msgspec
import pytest

from engine.contract import Done, Fail
from plugins.nodes.publish import PUBLISH


async def test_publish_hands_the_message_to_the_checkpoint(ctx, attempt) -> None:
    outcome = await attempt(PUBLISH, subject="log.a", data={"c": 9.5}, headers={"Level": 3})
    assert outcome == Done({"subject": "log.a", "bytes": 9})
    assert ctx.published == [("log.a", b'{"c":9.5}', {"Level": "3"})]


async def test_publish_sends_text_as_it_is(ctx, attempt) -> None:
    await attempt(PUBLISH, subject="lamp.set", text="on")
    assert ctx.published == [("lamp.set", b"on", None)]


async def test_publish_refuses_data_beside_text() -> None:
    with pytest.raises(msgspec.ValidationError, match="not both"):
        msgspec.convert({"subject": "a", "data": 1, "text": "x"}, PUBLISH.params)


@pytest.mark.parametrize(
    "params",
    [{"subject": "a.*"}, {"subject": "a\r\nPUB b 0\r\n"}, {"subject": "a", "headers": {"X": "1\r\nY: 2"}}],
)
async def test_publish_fails_on_what_would_break_the_protocol(ctx, attempt, params) -> None:
    outcome = await attempt(PUBLISH, **params)
    assert isinstance(outcome, Fail)
    assert outcome.kind == "invalid"
    assert ctx.published == []

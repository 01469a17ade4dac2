from engine.contract import Done
from plugins.nodes.log import LOG


async def test_log_writes_the_line_with_its_data_and_hands_it_on(ctx, attempt) -> None:
    assert await attempt(LOG, message="warm", level="warning", data={"c": 9}) == Done("warm")
    assert ctx.lines == [("warning", "warm", {"data": {"c": 9}})]


async def test_log_without_data_has_no_data_field(ctx, attempt) -> None:
    await attempt(LOG, message="hello")
    assert ctx.lines == [("info", "hello", {})]

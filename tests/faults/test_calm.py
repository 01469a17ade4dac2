"""Without any fault the oracle is content: what it finds elsewhere is the fault's."""

import pytest

pytestmark = pytest.mark.nats


async def test_without_a_fault_everything_happens_exactly_once(siege) -> None:
    assert await siege.agent.start()
    messages = siege.publish(50)
    assert await siege.done(messages)
    await siege.check()
    assert siege.sink.repeats == 0
    assert siege.agent.starts == 1

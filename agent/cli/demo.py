"""`ganglion demo`: see it work, with a check for every claim."""

import asyncio

from agent.cli.failure import Exit, Failure
from agent.cli.screen import say


def demo() -> None:
    """Start an agent, feed it through NATS and MQTT, kill it in the middle of a batch, and check that nothing is lost;
    then let a language model in it decide and act, offline.

    Runs in a directory of its own and cleans up. The exit code is 0 only if every claim held.
    """
    from agent.demo.stage import DemoFailed
    from agent.demo.story import Story
    from agent.scratch import NoScratch

    try:
        asyncio.run(Story(say).play())
    except* (DemoFailed, NoScratch) as failures:
        first: BaseException = failures
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise Failure(str(first), Exit.FAILED) from None

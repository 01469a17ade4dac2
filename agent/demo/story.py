"""The acts of the demonstration. Each shows something, then checks it; a claim that does not hold ends it."""

import asyncio
import time
from collections import Counter

import msgspec

from agent.demo.acting import act
from agent.demo.deciding import decide
from agent.demo.ledger import Ledger
from agent.demo.messages import Messages
from agent.demo.power_cut import cut_power
from agent.demo.stage import DemoFailed, Stage
from agent.demo.telling import Say, Telling
from agent.scratch import scratch
from engine.values import Json

NEEDED_BYTES = 20_000_000
"""Of the disk, for a while."""


class Story:
    """Plays the acts on a stage of its own."""

    def __init__(self, say: Say) -> None:
        self._telling = Telling(say)

    async def play(self) -> None:
        """All acts, then cleaning up. Raises DemoFailed and NoScratch."""
        tell, begun = self._telling, time.monotonic()
        with scratch("demo", NEEDED_BYTES) as directory:
            stage = Stage(directory)
            ledger = Ledger()
            serving = asyncio.Event()
            async with asyncio.TaskGroup() as tasks:
                service = tasks.create_task(ledger.run(serving))
                await serving.wait()
                try:
                    await self._begin(stage, ledger)
                    await Messages(stage, tell).play()
                    await cut_power(stage, tell, ledger)
                    await decide(stage, tell)
                    await act(stage, tell)
                    await self._end(stage)
                except TimeoutError:
                    raise DemoFailed(f"it took too long; the agent's log ends with:\n{stage.log_tail()}") from None
                finally:
                    await stage.kill()
                    service.cancel()
        seconds = time.monotonic() - begun
        tell.say(f"\nEvery claim was checked ({tell.checked}), in {seconds:.0f} s. Nothing is left behind.")

    async def _begin(self, stage: Stage, ledger: Ledger) -> None:
        tell = self._telling
        tell.title("An agent with its own NATS server, and three workflows")
        tell.command("up")
        begun = time.monotonic()
        ready = await stage.start()
        tell.say(f"  ready after {time.monotonic() - begun:.1f} s: {ready['nats']}, MQTT on {ready['mqtt']}")
        await tell.deploy(stage, "too-warm.yaml")
        await tell.deploy(stage, "fan-out.yaml")
        await tell.deploy(stage, "meter-reading.yaml", "-p", f"ledger={ledger.url}")
        listed = msgspec.json.decode(await stage.command("workflows", "--json"))
        names = {definition["workflow"] for definition in listed["definitions"]}
        tell.check("three workflows are deployed", names == {"too-warm", "fan-out", "meter-reading"}, names)

    async def _end(self, stage: Stage) -> None:
        tell = self._telling
        tell.title("The end: what the event log says of all this")
        events = await self._all_events(stage)
        sequences = [int(event["sequence"]) for event in events]
        gap_free = sequences == list(range(sequences[0], sequences[0] + len(sequences)))
        tell.check(f"the event log has no gap ({len(events)} facts)", gap_free, sequences[:5])
        ends = Counter(
            (event["subject"], event.get("node", ""))
            for event in events
            if event["type"] in ("ganglion.node.completed", "ganglion.workflow.completed")
        )
        tell.check("no node and no execution completed twice", max(ends.values()) == 1, ends.most_common(1))
        begun = time.monotonic()
        code = await stage.stop()
        tell.say(f"  SIGTERM: the agent ended with code {code} after {time.monotonic() - begun:.1f} s")
        tell.check("it stops cleanly when asked", code == 0, code)

    async def _all_events(self, stage: Stage) -> list[dict[str, Json]]:
        events: list[dict[str, Json]] = []
        after = 0
        while True:
            page = await stage.command("events", "--json", "-n", "1000", "--after", str(after))
            found = [msgspec.json.decode(line) for line in page.splitlines()]
            if not found:
                return events
            events += found
            after = int(found[-1]["sequence"])

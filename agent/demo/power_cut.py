"""kill -9 in the middle of a batch: nothing is lost, and nothing is done twice."""

import asyncio
import time
from collections import Counter

import msgspec

from agent.demo.ledger import Ledger
from agent.demo.stage import PATIENCE_SECONDS, DemoFailed, Stage
from agent.demo.telling import Telling

__all__ = ["cut_power"]

READINGS = 400
"""Messages of the batch in which the agent is killed."""


async def cut_power(stage: Stage, telling: Telling, ledger: Ledger) -> None:
    """Meters report, the agent is killed and started again, and the ledger is asked what it booked."""
    telling.title(f"A power cut: {READINGS} readings, and kill -9 in the middle")
    messages = [
        {"subject": f"meters.m-{n}.reading", "id": f"m-{n}", "data": {"meter": f"m-{n}", "kwh": n + 0.5}}
        for n in range(READINGS)
    ]
    async with asyncio.TaskGroup() as tasks, asyncio.timeout(3 * PATIENCE_SECONDS):
        publishing = tasks.create_task(stage.client("publish_nats.py", stage.url, messages=messages))
        await ledger.wait_for_entries(READINGS // 4)
        await stage.kill()
        booked = len(ledger.calls)
        telling.say(f"  kill -9 after {booked} of {READINGS} readings were booked; the agent and its server are gone")
        telling.check("the kill came in the middle", 0 < booked < READINGS, booked)
        begun = time.monotonic()
        await stage.start()
        telling.say(
            f"  started again, ready after {time.monotonic() - begun:.1f} s; the client publishes what it missed"
        )
        kept = await publishing
        await ledger.wait_for_entries(READINGS)
        await _wait_until_done(stage, READINGS)
    again = sum(count - 1 for count in ledger.calls.values())
    telling.say(
        f"  {len(ledger.calls)} readings booked; {again} calls were made again, each with its old Idempotency-Key"
    )
    telling.check("every message was acknowledged", kept == READINGS, kept)
    telling.check("nothing was lost: every reading is booked", len(ledger.calls) == READINGS, len(ledger.calls))
    bodies = [body for bodies in ledger.bodies.values() for body in bodies]
    distinct = len(set(bodies)) == len(bodies) == READINGS
    telling.check("nothing was booked twice: one idempotency key for each reading", distinct, len(bodies))
    counted = await _count(stage)
    telling.check("one execution for each reading, all completed", counted == {"completed": READINGS}, dict(counted))


async def _wait_until_done(stage: Stage, count: int) -> None:
    while True:
        counted = await _count(stage)
        if counted["completed"] >= count and counted.total() == counted["completed"]:
            return
        if counted["failed"]:
            raise DemoFailed(f"executions failed: {dict(counted)}\n{stage.log_tail()}")


async def _count(stage: Stage) -> Counter[str]:
    listed = await stage.command("ps", "--all", "--workflow", "meter-reading", "-n", "1000", "--json")
    return Counter(execution["status"] for execution in msgspec.json.decode(listed)["executions"])

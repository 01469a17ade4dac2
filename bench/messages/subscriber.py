"""See the `workflow.completed` events of numbered messages; print, as JSON, when each was seen first.

    python subscriber.py URL SUBJECT FIRST COUNT ADDED       ADDED: by how much an output is above its number

Prints `ready` when it is subscribed. Ends with an error when nothing more comes before all were seen.
"""

import asyncio
import json
import sys
import time

import nats
from nats.aio.msg import Msg

QUIET_SECONDS = 30.0


async def main(url: str, subject: str, first: int, count: int, added: int) -> None:
    times: dict[int, float] = {}
    wanted = range(first, first + count)
    heard = asyncio.Event()

    async def see(message: Msg) -> None:
        now = time.monotonic()
        number = json.loads(message.data)["data"]["outputs"] - added
        if number in wanted:
            times.setdefault(number, now)
            heard.set()

    client = await nats.connect(url)
    await client.subscribe(subject, cb=see)
    await client.flush()
    print("ready", flush=True)
    while len(times) < count:
        heard.clear()
        try:
            await asyncio.wait_for(heard.wait(), QUIET_SECONDS)
        except TimeoutError:
            sys.exit(f"{len(times)} of {count} executions were seen to complete, and then none for {QUIET_SECONDS} s")
    print(json.dumps([times[number] for number in wanted]))
    await client.close()


if __name__ == "__main__":
    url, subject, *numbers = sys.argv[1:]
    asyncio.run(main(url, subject, *map(int, numbers)))

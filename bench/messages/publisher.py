"""Publish numbered messages to a subject that a stream keeps; print, as JSON, when each was handed over.

python publisher.py URL SUBJECT FIRST COUNT RATE      RATE 0: as fast as the stream acknowledges, many at once
"""

import asyncio
import json
import sys
import time

import nats

UNANSWERED = 1000
"""Messages on their way to the stream."""


async def main(url: str, subject: str, first: int, count: int, rate: float) -> None:
    client = await nats.connect(url)
    stream = client.jetstream(publish_async_max_pending=UNANSWERED)
    times, answers = [], []
    began = time.monotonic()
    for place in range(count):
        if rate:
            await asyncio.sleep(max(0.0, began + place / rate - time.monotonic()))
        times.append(time.monotonic())
        answers.append(await stream.publish_async(subject, b'{"x":%d}' % (first + place)))
    await asyncio.gather(*answers)
    print(json.dumps(times))
    await client.close()


if __name__ == "__main__":
    url, subject, first, count, rate = sys.argv[1:]
    asyncio.run(main(url, subject, int(first), int(count), float(rate)))

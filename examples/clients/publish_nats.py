"""Publish messages with a plain NATS client (nats-py) and wait until each is kept.

    python publish_nats.py nats://127.0.0.1:4222 < messages.jsonl

Standard input holds one JSON object a line: {"subject": …, "id": …, "data": …}. The id travels as Nats-Msg-Id, so
a message that is sent again because its acknowledgement was lost starts nothing twice. Prints how many are kept.
"""

import asyncio
import json
import sys

import nats
from nats.errors import Error


async def main(url: str) -> None:
    messages = [json.loads(line) for line in sys.stdin]
    connection = await nats.connect(url, max_reconnect_attempts=-1, reconnect_time_wait=0.2, error_cb=ignore)
    stream = connection.jetstream(timeout=2)
    window = asyncio.Semaphore(32)

    async def publish(message: dict) -> None:
        async with window:
            while True:
                try:
                    await stream.publish(
                        message["subject"],
                        json.dumps(message["data"]).encode(),
                        headers={"Nats-Msg-Id": message["id"]},
                    )
                except Error:
                    await asyncio.sleep(0.2)  # no acknowledgement: the same message again, with the same id
                else:
                    return

    await asyncio.gather(*(publish(message) for message in messages))
    await connection.close()
    print(len(messages))


async def ignore(_: Exception) -> None:
    """The client reconnects by itself."""


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))

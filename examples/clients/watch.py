"""Print what is published, with a plain NATS client (nats-py): one JSON object a line, {"subject": …, "data": …}.

    python watch.py nats://127.0.0.1:4222 'ganglion.event.>' 'ganglion.live.>' 'alerts.>'

The first line is {"ready": true}. Ends with its standard input.
"""

import asyncio
import json
import sys

import nats
from nats.aio.msg import Msg


async def show(message: Msg) -> None:
    print(json.dumps({"subject": message.subject, "data": json.loads(message.data)}), flush=True)


async def ignore(_: Exception) -> None:
    """The client reconnects by itself."""


async def main(url: str, subjects: list[str]) -> None:
    connection = await nats.connect(url, max_reconnect_attempts=-1, reconnect_time_wait=0.2, error_cb=ignore)
    for subject in subjects:
        await connection.subscribe(subject, cb=show)
    await connection.flush()
    print(json.dumps({"ready": True}), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await connection.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2:]))

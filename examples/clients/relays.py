"""Relays as a NATS micro service (nats-py): relays.set.<id> switches one.

    python relays.py nats://127.0.0.1:4222
    nats req relays.set.relay-3 '{"state": "on"}'   ->  {"id": "relay-3", "state": "on"}

Prints {"ready": true}, then one JSON object for each time that a relay was switched. Ends with its standard input.
"""

import asyncio
import json
import sys

import nats
from nats.micro import add_service
from nats.micro.request import Request


async def switch(request: Request) -> None:
    wanted = json.loads(request.data).get("state")
    if wanted not in ("on", "off"):
        await request.respond_error("400", "state is on or off")
        return
    relay = {"id": request.subject.rpartition(".")[2], "state": wanted}
    print(json.dumps(relay), flush=True)
    await request.respond(json.dumps(relay).encode())


async def ignore(_: Exception) -> None:
    """The client reconnects by itself."""


async def main(url: str) -> None:
    connection = await nats.connect(url, max_reconnect_attempts=-1, reconnect_time_wait=0.2, error_cb=ignore)
    service = await add_service(connection, name="relays", version="1.0.0", description="Relays")
    await service.add_endpoint(name="set", subject="relays.set.*", handler=switch)
    await connection.flush()
    print(json.dumps({"ready": True}), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await service.stop()
    await connection.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))

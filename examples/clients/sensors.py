"""Thermometers as a NATS micro service (nats-py): answers on sensors.read.<id> with what it measures.

    python sensors.py nats://127.0.0.1:4222 fridge-07=14.2 fridge-02=5.5
    nats req sensors.read.fridge-07 ''            ->  {"id": "fridge-07", "celsius": 14.2}

Prints {"ready": true}, then one JSON object for each reading that was asked for. Ends with its standard input.
"""

import asyncio
import json
import sys

import nats
from nats.micro import add_service
from nats.micro.request import Request


async def ignore(_: Exception) -> None:
    """The client reconnects by itself."""


async def main(url: str, readings: dict[str, float]) -> None:
    async def read(request: Request) -> None:
        id = request.subject.rpartition(".")[2]
        if id not in readings:
            await request.respond_error("404", f"there is no sensor {id}")
            return
        reading = {"id": id, "celsius": readings[id]}
        await request.respond(json.dumps(reading).encode())
        print(json.dumps(reading), flush=True)

    connection = await nats.connect(url, max_reconnect_attempts=-1, reconnect_time_wait=0.2, error_cb=ignore)
    service = await add_service(connection, name="sensors", version="1.0.0", description="Thermometers")
    await service.add_endpoint(name="read", subject="sensors.read.*", handler=read)
    await connection.flush()
    print(json.dumps({"ready": True}), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await service.stop()
    await connection.close()


if __name__ == "__main__":
    pairs = (argument.split("=") for argument in sys.argv[2:])
    asyncio.run(main(sys.argv[1], {id: float(celsius) for id, celsius in pairs}))

"""Which agents answer now: what `nats micro ls` asks."""

import asyncio

import msgspec
from nats.aio.client import Client

from engine.values import InvalidValue, decode_json
from mesh.service import NAME
from mesh.wire import is_id

ROLL_SECONDS = 0.5
"""How long agents may take to say that they are there."""


class _Ping(msgspec.Struct):
    metadata: dict[str, str] = {}


async def roll_call(nc: Client, tenant: str, *, seconds: float = ROLL_SECONDS) -> set[str]:
    """Ids of the agents of this tenant. Raises one of LOST."""
    inbox = nc.new_inbox()
    answers = await nc.subscribe(inbox)
    found: set[str] = set()
    try:
        await nc.publish(f"$SRV.PING.{NAME}", reply=inbox)
        async with asyncio.timeout(seconds):
            async for message in answers.messages:
                if not message.data:  # the server says that nobody is there
                    break
                try:
                    ping = msgspec.convert(decode_json(message.data), _Ping)
                except (InvalidValue, msgspec.ValidationError):
                    continue
                agent = ping.metadata.get("agent", "")
                if ping.metadata.get("tenant") == tenant and is_id(agent):
                    found.add(agent)
    except TimeoutError:
        pass
    finally:
        if nc.is_connected:
            await answers.unsubscribe()
    return found

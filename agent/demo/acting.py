"""A language model reads a sensor and switches a relay: an agent loop with two NATS services as its tools."""

import asyncio

import msgspec

from agent.demo.stage import PATIENCE_SECONDS, Stage
from agent.demo.telling import Telling
from engine.values import Json

__all__ = ["act"]

WARM, COLD = "fridge-07", "fridge-02"
SENSORS = {WARM: 14.2, COLD: 5.5}
RELAY = "relay-3"


async def act(stage: Stage, telling: Telling) -> None:
    """One fridge is too warm, one is not; the services say what was asked of them."""
    telling.title("An agent loop reads a sensor and switches a relay: two plain NATS services are its tools")
    sensors = [f"{device}={celsius}" for device, celsius in SENSORS.items()]
    telling.say(f"$ python examples/clients/sensors.py {' '.join(sensors)}")
    telling.say("$ python examples/clients/relays.py")
    async with (
        asyncio.timeout(3 * PATIENCE_SECONDS),
        stage.running("sensors.py", stage.url, *sensors) as thermometers,
        stage.running("relays.py", stage.url) as relays,
    ):
        await telling.deploy(stage, "act-on-it.yaml")
        warm = await _ask(stage, telling, WARM)
        told = f"{WARM} is at {SENSORS[WARM]} C, {RELAY} is on"
        telling.check("its answer is what the services said", warm["answer"] == told, warm)
        cold = await _ask(stage, telling, COLD)
        told = f"{COLD} is at {SENSORS[COLD]} C, nothing to do"
        telling.check("below the limit there is nothing to do", cold["answer"] == told, cold)
        switched, read = await relays.end(), await thermometers.end()
    telling.check("the relay was switched exactly once", switched == [{"id": RELAY, "state": "on"}], switched)
    asked = [reading["id"] for reading in read]
    telling.check("each sensor was read exactly once", asked == [WARM, COLD], asked)


async def _ask(stage: Stage, telling: Telling, device: str) -> dict[str, Json]:
    """Run the loop for a fridge, show what was said and done; its outputs."""
    words = ("trigger", "act-on-it", *(() if device == WARM else ("-p", f"device={device}")), "--wait")
    telling.command(*words)
    ended = msgspec.json.decode(await stage.command(*words, "--json"))
    telling.command("show", ended["info"]["execution"])
    telling.printed(await stage.command("show", ended["info"]["execution"]))
    outputs: dict[str, Json] = ended["outputs"]
    return outputs

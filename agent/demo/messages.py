"""Fridges report through NATS and MQTT; each message becomes an execution: an alert, or a reading that is kept."""

import asyncio

import msgspec

from agent.demo.stage import PATIENCE_SECONDS, Client, Stage
from agent.demo.telling import Telling, event_line
from engine.values import Json

__all__ = ["Messages"]


class Messages:
    """Two acts with the workflow too-warm, and a look at what is left of them."""

    def __init__(self, stage: Stage, telling: Telling) -> None:
        self._stage = stage
        self._telling = telling
        self._ended: set[str] = set()

    async def play(self) -> None:
        """All of it."""
        async with self._stage.watch("ganglion.event.>", "ganglion.live.>", "alerts.>", "log.>") as watch:
            await self._through_nats(watch)
            await self._through_mqtt(watch)
        await self._look()

    async def _through_nats(self, watch: Client) -> None:
        self._telling.title("Fridges report through NATS: a plain nats-py client publishes, another one watches")
        readings = {"fridge-1": 4.2, "fridge-2": 9.5, "fridge-3": 7.9, "fridge-4": 12.0, "fridge-5": 8.0}
        messages = [
            {"subject": f"fridges.{device}.temperature", "id": f"{device}/1", "data": reading(device, celsius)}
            for device, celsius in readings.items()
        ]
        kept = await self._stage.client("publish_nats.py", self._stage.url, messages=messages)
        self._telling.check("the client got an acknowledgement for each message", kept == len(messages), kept)
        await self._watch_fridges(watch, readings)

    async def _through_mqtt(self, watch: Client) -> None:
        self._telling.title("Fridges report through MQTT: a plain paho client publishes")
        readings = {"fridge-6": 10.5, "fridge-7": 3.0, "fridge-8": 21.0}
        messages = [
            {"topic": f"fridges/{device}/temperature", "data": reading(device, celsius)}
            for device, celsius in readings.items()
        ]
        port = str(self._stage.mqtt_port)
        kept = await self._stage.client("publish_mqtt.py", "127.0.0.1", port, messages=messages)
        self._telling.check("the broker acknowledged each message", kept == len(messages), kept)
        await self._watch_fridges(watch, readings)

    async def _watch_fridges(self, watch: Client, readings: dict[str, float]) -> None:
        """Show what the watcher sees until every fridge has its result, its alert or its log entry."""
        tell = self._telling
        warm = {device for device, celsius in readings.items() if celsius > 8}
        results: dict[str, Json] = {}
        alerts: dict[str, Json] = {}
        logged: set[str] = set()
        closely = ""  # one execution is shown with every event, the others with their end
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(results) < len(readings) or set(alerts) < warm or logged < set(readings) - warm:
                seen = await watch.next()
                subject, data = seen["subject"], seen["data"]
                if subject.startswith("alerts."):
                    alerts[subject.removeprefix("alerts.")] = data
                    tell.say(f"  {subject:<44} {data['text']}")
                elif subject.startswith("log."):
                    logged.add(subject.removeprefix("log."))
                    tell.say(f"  {subject:<44} {data['celsius']} C")
                elif data["subject"] not in self._ended:  # live events of the act before may come late
                    closely = closely or data["subject"]
                    if data["subject"] == closely or data["type"].startswith("ganglion.workflow."):
                        tell.say(event_line(data, _details(data)))
                    if data["type"] == "ganglion.workflow.completed":
                        outputs = data["data"]["outputs"]
                        results[outputs["device"]] = outputs["warm"]
                        self._ended.add(data["subject"])
        tell.check("each message became one completed execution", set(results) == set(readings), results)
        tell.check("each result is right", {d for d, is_warm in results.items() if is_warm} == warm, results)
        tell.check(
            "each warm fridge raised an alert, and no other",
            set(alerts) == warm and all(alerts[d]["celsius"] == readings[d] for d in warm),
            alerts,
        )

    async def _look(self) -> None:
        tell = self._telling
        tell.title("Looking at it")
        tell.command("ps --all -n 4")
        tell.printed(await self._stage.command("ps", "--all", "-n", "4"))
        listed = msgspec.json.decode(await self._stage.command("ps", "--all", "-n", "1", "--json"))
        newest = listed["executions"][0]["execution"]
        tell.command("show", newest)
        shown = await self._stage.command("show", newest)
        tell.printed(shown)
        tell.check("the command shows the nodes of the execution", "reading" in shown and "warm" in shown, shown)


def reading(device: str, celsius: float) -> dict[str, Json]:
    """What a fridge publishes."""
    return {"device": device, "celsius": celsius}


def _details(event: dict[str, Json]) -> str:
    details = {key: value for key, value in event["data"].items() if key in ("outputs", "port", "reason", "settled")}
    return msgspec.json.encode(details).decode() if details else ""

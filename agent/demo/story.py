"""The acts of the demonstration. Each shows something, then checks it; a claim that does not hold ends it."""

import asyncio
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import msgspec

from agent.demo.ledger import Ledger
from agent.demo.stage import DemoFailed, Stage, Watch, examples
from engine.values import Json

READINGS = 400
"""Messages of the batch in which the agent is killed."""
PATIENCE_SECONDS = 20.0
"""How long an act may wait for what it announced."""

Say = Callable[[str], None]


class Story:
    """Plays the acts on a stage of its own."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self.checked = 0
        """Claims that were checked and held."""
        self._ended: set[str] = set()

    async def play(self) -> None:
        """All acts, then cleaning up. Raises DemoFailed."""
        begun = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="ganglion-demo-") as directory:
            stage = Stage(Path(directory))
            ledger = Ledger()
            serving = asyncio.Event()
            async with asyncio.TaskGroup() as tasks:
                service = tasks.create_task(ledger.run(serving))
                await serving.wait()
                try:
                    await self._act_one(stage, ledger)
                    async with stage.watch("ganglion.event.>", "ganglion.live.>", "alerts.>", "log.>") as watch:
                        await self._act_two(stage, watch)
                        await self._act_three(stage, watch)
                    await self._act_four(stage)
                    await self._act_five(stage, ledger)
                    await self._act_six(stage)
                except TimeoutError:
                    raise DemoFailed(f"it took too long; the agent's log ends with:\n{stage.log_tail()}") from None
                finally:
                    await stage.kill()
                    service.cancel()
        self._say(
            f"\nEvery claim was checked ({self.checked}), in {time.monotonic() - begun:.0f} s. Nothing is left behind."
        )

    async def _act_one(self, stage: Stage, ledger: Ledger) -> None:
        self._title("An agent with its own NATS server, and three workflows")
        self._say("$ ganglion up")
        begun = time.monotonic()
        ready = await stage.start()
        self._say(f"  ready after {time.monotonic() - begun:.1f} s: {ready['nats']}, MQTT on {ready['mqtt']}")
        for name, *parameters in (
            ("cold-chain.yaml",),
            ("fan-out.yaml",),
            ("meter-reading.yaml", "-p", f"ledger={ledger.url}"),
        ):
            self._say(f"$ ganglion deploy examples/{' '.join((name, *parameters))}")
            said = await stage.command("deploy", str(examples() / name), *parameters)
            self._say("".join(f"  {line}\n" for line in said.splitlines()).rstrip())
        listed = msgspec.json.decode(await stage.command("workflows", "--json"))
        names = {definition["workflow"] for definition in listed["definitions"]}
        self._check("three workflows are deployed", names >= {"cold-chain", "fan-out", "meter-reading"}, names)

    async def _act_two(self, stage: Stage, watch: Watch) -> None:
        self._title("Fridges report through NATS: a plain nats-py client publishes, another one watches")
        readings = {"fridge-1": 4.2, "fridge-2": 9.5, "fridge-3": 7.9, "fridge-4": 12.0, "fridge-5": 8.0}
        messages = [
            {"subject": f"sensors.{device}.temperature", "id": f"{device}/1", "data": _reading(device, celsius)}
            for device, celsius in readings.items()
        ]
        kept = await stage.client("publish_nats.py", stage.url, messages=messages)
        self._check("the client got an acknowledgement for each message", kept == len(messages), kept)
        await self._watch_fridges(watch, readings)

    async def _act_three(self, stage: Stage, watch: Watch) -> None:
        self._title("Fridges report through MQTT: a plain paho client publishes")
        readings = {"fridge-6": 10.5, "fridge-7": 3.0, "fridge-8": 21.0}
        messages = [
            {"topic": f"sensors/{device}/temperature", "data": _reading(device, celsius)}
            for device, celsius in readings.items()
        ]
        kept = await stage.client("publish_mqtt.py", "127.0.0.1", str(stage.mqtt_port), messages=messages)
        self._check("the broker acknowledged each message", kept == len(messages), kept)
        await self._watch_fridges(watch, readings)

    async def _watch_fridges(self, watch: Watch, readings: dict[str, float]) -> None:
        """Show what the watcher sees until every fridge has its result, its alert or its log entry."""
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
                    self._say(f"  {subject:<44} {data['text']}")
                elif subject.startswith("log."):
                    logged.add(subject.removeprefix("log."))
                    self._say(f"  {subject:<44} {data['celsius']} C")
                elif data["subject"] not in self._ended:  # live events of the act before may come late
                    closely = closely or data["subject"]
                    if data["subject"] == closely or data["type"].startswith("ganglion.workflow."):
                        self._say(_event_line(data))
                    if data["type"] == "ganglion.workflow.completed":
                        outputs = data["data"]["outputs"]
                        results[outputs["device"]] = outputs["warm"]
                        self._ended.add(data["subject"])
        self._check("each message became one completed execution", set(results) == set(readings), results)
        self._check("each result is right", {d for d, is_warm in results.items() if is_warm} == warm, results)
        self._check(
            "each warm fridge raised an alert, and no other",
            set(alerts) == warm and all(alerts[d]["celsius"] == readings[d] for d in warm),
            alerts,
        )

    async def _act_four(self, stage: Stage) -> None:
        self._title("Looking at it")
        self._say("$ ganglion ps --all -n 4")
        listed = await stage.command("ps", "--all", "-n", "4")
        self._say("".join(f"  {line}\n" for line in listed.splitlines()).rstrip())
        newest = msgspec.json.decode(await stage.command("ps", "--all", "-n", "1", "--json"))["executions"][0]
        self._say(f"$ ganglion show {newest['execution']}")
        shown = await stage.command("show", newest["execution"])
        self._say("".join(f"  {line}\n" for line in shown.splitlines()).rstrip())
        self._check("the command shows the nodes of the execution", "reading" in shown and "warm" in shown, shown)

    async def _act_five(self, stage: Stage, ledger: Ledger) -> None:
        self._title(f"A power cut: {READINGS} readings, and kill -9 in the middle")
        messages = [
            {"subject": f"meters.m-{n}.reading", "id": f"m-{n}", "data": {"meter": f"m-{n}", "kwh": n + 0.5}}
            for n in range(READINGS)
        ]
        async with asyncio.TaskGroup() as tasks, asyncio.timeout(3 * PATIENCE_SECONDS):
            publishing = tasks.create_task(stage.client("publish_nats.py", stage.url, messages=messages))
            await ledger.wait_for_entries(READINGS // 4)
            await stage.kill()
            booked = len(ledger.calls)
            self._say(f"  kill -9 after {booked} of {READINGS} readings were booked; the agent and its server are gone")
            self._check("the kill came in the middle", 0 < booked < READINGS, booked)
            begun = time.monotonic()
            await stage.start()
            self._say(
                f"  started again, ready after {time.monotonic() - begun:.1f} s; the client publishes what it missed"
            )
            kept = await publishing
            await ledger.wait_for_entries(READINGS)
            await self._wait_until_done(stage, READINGS)
        again = sum(count - 1 for count in ledger.calls.values())
        self._say(
            f"  {len(ledger.calls)} readings booked; {again} calls were made again, each with its old Idempotency-Key"
        )
        self._check("every message was acknowledged", kept == READINGS, kept)
        self._check("nothing was lost: every reading is booked", len(ledger.calls) == READINGS, len(ledger.calls))
        bodies = [body for bodies in ledger.bodies.values() for body in bodies]
        distinct = len(set(bodies)) == len(bodies) == READINGS
        self._check("nothing was booked twice: one idempotency key for each reading", distinct, len(bodies))

    async def _wait_until_done(self, stage: Stage, count: int) -> None:
        while True:
            counted = await self._count(stage)
            if counted["completed"] >= count and counted.total() == counted["completed"]:
                return
            if counted["failed"]:
                raise DemoFailed(f"executions failed: {dict(counted)}\n{stage.log_tail()}")

    async def _count(self, stage: Stage) -> Counter[str]:
        listed = await stage.command("ps", "--all", "--workflow", "meter-reading", "-n", "1000", "--json")
        return Counter(execution["status"] for execution in msgspec.json.decode(listed)["executions"])

    async def _act_six(self, stage: Stage) -> None:
        counted = await self._count(stage)
        self._check("one execution for each reading, all completed", counted == {"completed": READINGS}, dict(counted))
        events = await self._all_events(stage)
        sequences = [int(event["sequence"]) for event in events]
        gap_free = sequences == list(range(sequences[0], sequences[0] + len(sequences)))
        self._check(f"the event log has no gap ({len(events)} facts)", gap_free, sequences[:5])
        ends = Counter(
            (event["subject"], event.get("node", ""))
            for event in events
            if event["type"] in ("ganglion.node.completed", "ganglion.workflow.completed")
        )
        self._check("no node and no execution completed twice", max(ends.values()) == 1, ends.most_common(1))
        begun = time.monotonic()
        code = await stage.stop()
        self._say(f"  SIGTERM: the agent ended with code {code} after {time.monotonic() - begun:.1f} s")
        self._check("it stops cleanly when asked", code == 0, code)

    async def _all_events(self, stage: Stage) -> list[dict[str, Json]]:
        events: list[dict[str, Json]] = []
        after = 0
        while True:
            page = await stage.command("events", "--json", "-n", "1000", "--after", str(after))
            found = [msgspec.json.decode(line) for line in page.splitlines()]
            if not found:
                return events
            events += found
            after = int(found[-1]["sequence"])

    def _title(self, text: str) -> None:
        self._say(f"\n== {text}")

    def _check(self, claim: str, holds: bool, seen: object) -> None:
        if not holds:
            raise DemoFailed(f"this does not hold: {claim}; seen: {seen!r}")
        self.checked += 1
        self._say(f"  ✓ {claim}")


def _reading(device: str, celsius: float) -> dict[str, Json]:
    return {"device": device, "celsius": celsius}


def _event_line(event: dict[str, Json]) -> str:
    """A fact with its number in the log, or a live event with a dot."""
    kind = event["type"].removeprefix("ganglion.")
    about = event.get("node", "") or ""
    details = {key: value for key, value in event["data"].items() if key in ("outputs", "port", "reason", "settled")}
    shown = msgspec.json.encode(details).decode() if details else ""
    return f"  {event.get('sequence', '·'):>5} {kind:<20} {event['subject'][-8:]:<9} {about:<10} {shown}".rstrip()

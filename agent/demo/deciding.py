"""A language model in the agent's process decides what readings mean, offline."""

import asyncio
import time
from collections.abc import Mapping
from importlib.util import find_spec

import msgspec

from agent.demo.clients import examples
from agent.demo.messages import reading
from agent.demo.stage import PATIENCE_SECONDS, Client, DemoFailed, Stage
from agent.demo.telling import Telling
from engine.values import Json

__all__ = ["decide"]

MODEL = "models/triage-tiny-q8_0.gguf"
READINGS = {
    "fridge-01": (4.2, "normal"),
    "fridge-02": (9.5, "warning"),
    "fridge-03": (14.2, "critical"),
    "fridge-04": (6.8, "normal"),
    "fridge-05": (10.1, "warning"),
    "fridge-06": (23.4, "critical"),
}
"""Device -> temperature, and what it means with a limit of 8 C."""


async def decide(stage: Stage, telling: Telling) -> None:
    """Add the model, deploy the cold chain, and let fridges report to it."""
    telling.title("A language model in the agent decides, offline")
    _require_llama()
    telling.command(f"models add examples/{MODEL} --name triage-tiny")
    telling.printed(await stage.command("models", "add", str(examples() / MODEL), "--name", "triage-tiny"))
    await telling.deploy(stage, "cold-chain.yaml")
    messages = [
        {"subject": f"sensors.{device}.temperature", "id": f"{device}/2", "data": reading(device, celsius)}
        for device, (celsius, _) in READINGS.items()
    ]
    strangers: set[str] = set()
    async with stage.watch("ganglion.event.*.*.cold-chain.>", "alerts.>", "log.>") as watch:
        begun = time.monotonic()
        await stage.client("publish_nats.py", stage.url, messages=messages)
        levels, alerts, last = await _watch_levels(watch, telling, stage, strangers)
        seconds = time.monotonic() - begun
    expected = {device: level for device, (_, level) in READINGS.items()}
    telling.check("the model got every level right", levels == expected, levels)
    reasons = {
        device: f"{device}: temperature {celsius} C is above the limit of 8 C"
        for device, (celsius, level) in READINGS.items()
        if level != "normal"
    }
    told = {device: alert["text"] for device, alert in alerts.items()}
    telling.check("each bad reading raised an alert with the model's reason, and no other", told == reasons, told)
    telling.check("the agent had no connection but to this machine", not strangers, strangers)
    await _look(stage, telling, last, seconds)


def _require_llama() -> None:
    if find_spec("llama_cpp") is None:
        raise DemoFailed(
            "this act needs llama-cpp-python, which runs local models, and it is not installed: "
            "pip install 'ganglion[llm]' (in a clone: pip install -e '.[llm]'); it is built then, which takes minutes"
        )


async def _watch_levels(
    watch: Client, telling: Telling, stage: Stage, strangers: set[str]
) -> tuple[dict[str, Json], dict[str, Mapping[str, Json]], str]:
    """Level and alert of each device, and the last execution. `strangers` gets the addresses of other machines that the
    agent is connected with."""
    levels: dict[str, Json] = {}
    alerts: dict[str, Mapping[str, Json]] = {}
    logged, last = 0, ""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(levels) < len(READINGS) or len(alerts) + logged < len(READINGS):
            seen = await watch.next()
            subject, data = seen["subject"], seen["data"]
            strangers |= stage.connections_elsewhere()
            if subject.startswith("alerts."):
                alerts[subject.removeprefix("alerts.")] = data
                telling.say(f"  {subject:<18} {data['level']:<9} {data['text'].partition(': ')[2]}")
            elif subject.startswith("log."):
                logged += 1
                telling.say(f"  {subject:<18} {'kept':<9} {data['celsius']} C")
            elif data["type"] == "ganglion.workflow.failed":
                raise DemoFailed(f"an execution failed: {data['data']}\n{stage.log_tail()}")
            elif data["type"] == "ganglion.workflow.completed":
                outputs, last = data["data"]["outputs"], data["subject"]
                levels[outputs["device"]] = outputs["level"]
    return levels, alerts, last


async def _look(stage: Stage, telling: Telling, execution: str, seconds: float) -> None:
    """One decision, and what all of them took."""
    telling.command("show", execution)
    telling.printed(await stage.command("show", execution))
    shown = msgspec.json.decode(await stage.command("show", execution, "--json"))
    about = next(node["output"]["llm"] for node in shown["nodes"] if node["path"] == "triage")
    used = msgspec.json.decode(await stage.command("top", "--workflow", "cold-chain", "--json"))
    tokens = sum(workflow["llm_tokens"] for workflow in used["workflows"])
    telling.say(
        f"  {len(READINGS)} decisions, {tokens} tokens, {seconds:.2f} s with loading the model; this one read "
        f"{about['input_tokens']} and wrote {about['output_tokens']} tokens in {1000 * about['seconds']:.0f} ms "
        f"({about['tokens_per_second']:.0f} tokens/s)"
    )
    telling.check("what the model read and wrote is counted", tokens > 0 and about["output_tokens"] > 0, used)

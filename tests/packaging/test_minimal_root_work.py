"""The executable at work in a root without Python, for a user without rights, `/` read-only; clients outside of it.

Slow, and for root: `sudo make package-test`. $GANGLION_ROOT names another root.
"""

import asyncio
import json
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from nats.aio.client import Client

from agent.demo.ledger import Ledger
from tests.packaging.machine import PATIENCE_SECONDS, Machine, SwitchOn, until
from tests.packaging.minimal_root import DATA
from tests.running import plain_client

EXAMPLES = Path(__file__).parents[2] / "examples"
READINGS = 300


def give(machine: Machine, example: str) -> str:
    """A workflow file that a person brings; its path inside."""
    file = machine.data / Path(example).name
    shutil.copy(EXAMPLES / example, file)
    file.chmod(0o644)
    return f"{DATA}/{file.name}"


@asynccontextmanager
async def completions(client: Client, workflow: str) -> "AsyncIterator[asyncio.Queue[Any]]":
    """The outputs of executions, as they complete."""
    outputs: asyncio.Queue[Any] = asyncio.Queue()

    async def take(message: Any) -> None:
        fact = json.loads(message.data)
        assert fact["type"] != "ganglion.workflow.failed", fact
        if fact["type"] == "ganglion.workflow.completed":
            outputs.put_nowait(fact["data"]["outputs"])

    subscription = await client.subscribe(f"ganglion.event.*.*.{workflow}.>", cb=take)
    await client.flush()
    yield outputs
    await subscription.unsubscribe()


async def next_of(outputs: "asyncio.Queue[Any]") -> Any:
    return await asyncio.wait_for(outputs.get(), PATIENCE_SECONDS)


async def publish(client: Client, subject: str, data: object, id: str) -> None:
    await client.jetstream().publish(subject, json.dumps(data).encode(), headers={"Nats-Msg-Id": id})


def test_the_demonstration_holds_with_all_its_claims_though_tmp_is_full(switch_on: SwitchOn) -> None:
    machine = switch_on(tmp_kilobytes=64)
    said = machine("demo")
    assert "Every claim was checked (26)" in said
    assert machine.processes == []
    assert [path.name for path in (machine.home / ".cache/ganglion").iterdir()] == ["executable"]


async def test_a_nats_message_becomes_a_completed_execution(machine: Machine) -> None:
    agent, ready = machine.up()
    machine("deploy", give(machine, "too-warm.yaml"), "--data-dir", DATA)
    async with plain_client(ready["nats"]) as client, completions(client, "too-warm") as outputs:
        await publish(client, "fridges.fridge-7.temperature", {"device": "fridge-7", "celsius": 9.5}, "7/1")
        assert await next_of(outputs) == {"device": "fridge-7", "celsius": 9.5, "warm": True}
    assert ready["pid"] == agent.pid
    agent.terminate()
    agent.communicate(timeout=30)
    assert (agent.returncode, machine.processes) == (0, [])


async def test_an_mqtt_message_becomes_a_completed_execution(machine: Machine) -> None:
    _, ready = machine.up()
    machine("deploy", give(machine, "too-warm.yaml"), "--data-dir", DATA)
    async with plain_client(ready["nats"]) as client, completions(client, "too-warm") as outputs:
        await asyncio.to_thread(
            mqtt_publish, ready["mqtt"], "fridges/fridge-3/temperature", '{"device":"f3","celsius":3}'
        )
        assert await next_of(outputs) == {"device": "f3", "celsius": 3, "warm": False}


def mqtt_publish(address: str, topic: str, text: str) -> None:
    host, _, port = address.rpartition(":")
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="sensor")
    client.connect(host, int(port))
    client.loop_start()
    client.publish(topic, text, qos=1).wait_for_publish(timeout=10)
    client.disconnect()
    client.loop_stop()


async def test_a_local_model_decides(machine: Machine) -> None:
    _, ready = machine.up()
    examples = machine.examples
    model = str(examples / "models/triage-tiny-q8_0.gguf")
    machine("models", "add", model, "--name", "triage-tiny", "--data-dir", DATA)
    machine("deploy", str(examples / "cold-chain.yaml"), "--data-dir", DATA)
    async with plain_client(ready["nats"]) as client, completions(client, "cold-chain") as outputs:
        for celsius, level in ((4.2, "normal"), (9.5, "warning"), (23.4, "critical")):
            await publish(client, "sensors.f.temperature", {"device": "f", "celsius": celsius}, f"f/{celsius}")
            assert await next_of(outputs) == {"device": "f", "celsius": celsius, "level": level}


async def test_what_was_accepted_is_done_exactly_once_after_kill_9_and_nothing_is_left_behind(machine: Machine) -> None:
    ledger, serving = Ledger(), asyncio.Event()
    service = asyncio.create_task(ledger.run(serving))
    await serving.wait()
    agent, ready = machine.up()
    machine("deploy", give(machine, "meter-reading.yaml"), "-p", f"ledger={ledger.url}", "--data-dir", DATA)
    async with plain_client(ready["nats"]) as client:
        readings = {f"m-{number}": {"meter": f"m-{number}", "kwh": number} for number in range(READINGS)}
        await asyncio.gather(
            ledger.wait_for_entries(1),
            *(publish(client, f"meters.{meter}.reading", data, meter) for meter, data in readings.items()),
        )  # all are acknowledged: from here on none must be lost
        agent.send_signal(signal.SIGKILL)
        assert 0 < len(ledger.calls) < READINGS, "the kill did not come in the middle"
    await asyncio.to_thread(agent.communicate, timeout=30)
    await asyncio.to_thread(until, lambda: machine.processes == [])

    again, ready = await asyncio.to_thread(machine.up)
    await asyncio.wait_for(ledger.wait_for_entries(READINGS), PATIENCE_SECONDS)
    await asyncio.to_thread(until, lambda: counted(machine) == {"completed": READINGS})
    assert len(ledger.calls) == READINGS
    assert len({body for bodies in ledger.bodies.values() for body in bodies}) == READINGS
    again.terminate()
    await asyncio.to_thread(again.communicate, timeout=30)
    service.cancel()
    assert again.returncode == 0
    assert machine.processes == []
    assert len(machine.builds) == 1
    assert list(machine.inside("/tmp").iterdir()) == []


async def test_an_agent_whose_unpacked_files_were_deleted_ends_and_the_next_start_goes_on(machine: Machine) -> None:
    agent, ready = machine.up()
    model = give(machine, "models/triage-tiny-q8_0.gguf")
    machine("models", "add", model, "--name", "triage-tiny", "--data-dir", DATA)
    machine("deploy", give(machine, "cold-chain.yaml"), "--data-dir", DATA)
    (build,) = machine.builds
    shutil.rmtree(build)
    async with plain_client(ready["nats"]) as client:
        await publish(client, "sensors.f.temperature", {"device": "f", "celsius": 9.5}, "f/1")
        _, error = await asyncio.to_thread(agent.communicate, timeout=30)  # it has not loaded what runs models yet
    assert agent.returncode == 1
    assert "ganglion: the files of this program were deleted while it ran: start it again" in error.splitlines()
    await asyncio.to_thread(machine.up)
    assert machine.builds == [build]
    await asyncio.to_thread(until, lambda: counted(machine) == {"completed": 1})


def counted(machine: Machine) -> dict[str, int]:
    listed = machine("ps", "--all", "-n", "1000", "--json", "--data-dir", DATA)
    every = [execution["status"] for execution in json.loads(listed)["executions"]]
    return {status: every.count(status) for status in every}

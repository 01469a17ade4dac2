"""The examples in which a model acts give what they promise, with services that answer as their heads say."""

from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from engine.events import Kind
from engine.ports import NoResponders, Reply

EXAMPLES = Path(__file__).parents[4] / "examples"


class Devices:
    """A sensor and a relay behind NATS subjects."""

    def __init__(self, celsius: float) -> None:
        self.celsius = celsius
        self.asked: list[str] = []

    async def request(self, subject: str, body: bytes, *, headers: Mapping[str, str], timeout: float) -> Reply:
        self.asked.append(subject)
        given = msgspec.json.decode(body)
        if subject == f"sensors.read.{given['id']}":
            return Reply(msgspec.json.encode({"id": given["id"], "celsius": self.celsius}), {})
        if subject == f"relays.set.{given['id']}":
            return Reply(msgspec.json.encode(given), {})
        raise NoResponders


@pytest.mark.parametrize(
    ("celsius", "answer", "asked"),
    [
        (14.2, "fridge-07 is at 14.2 C, relay-3 is on", ["sensors.read.fridge-07", "relays.set.relay-3"]),
        (5.1, "fridge-07 is at 5.1 C, nothing to do", ["sensors.read.fridge-07"]),
    ],
)
async def test_act_on_it_switches_if_it_is_too_warm(open_rig, decoded, celsius, answer, asked) -> None:
    devices = Devices(celsius)
    async with open_rig(requester=devices) as rig:
        await rig.deploy((EXAMPLES / "act-on-it.yaml").read_text())
        row = await rig.end(await rig.start("act-on-it"))
        assert decoded(row.outputs) == {"answer": answer, "calls": len(asked)}
        assert devices.asked == asked


async def test_ask_before_acting_switches_when_a_person_allows_it(open_rig, decoded) -> None:
    devices = Devices(14.2)
    async with open_rig(requester=devices) as rig:
        await rig.deploy((EXAMPLES / "ask-before-acting.yaml").read_text())
        id = await rig.start("ask-before-acting")
        await rig.kind(Kind.NODE_WAITING, id)
        assert devices.asked == ["sensors.read.fridge-07"]
        [form] = (await rig.ask("forms"))["forms"]
        await rig.ask("submit", form=form["form"], values={"approve": True}, by="anna")
        row = await rig.end(id)
        assert decoded(row.outputs) == {"answer": "fridge-07 is at 14.2 C, relay-3 is on", "stopped": "answer"}
        assert devices.asked == ["sensors.read.fridge-07", "relays.set.relay-3"]

"""The table of what events hold, where no agent says it in a few seconds; the rest is held against the wire."""

import msgspec
import pytest

from engine.control.event_data import DATA
from engine.events import Event, Kind
from engine.resources.gauge import Load
from engine.resources.governor import Governor
from engine.resources.scheduling import Marks, Policy, Scheduling
from engine.store.housekeeping import Housekeeper, Retention
from engine.values import encode_json


class Gauge:
    """A machine with so much to do."""

    def __init__(self, cpu: float) -> None:
        self.cpu = cpu

    def read(self) -> Load:
        return Load(self.cpu, 10.0)


def check(event: Event) -> None:
    """The data is as the table says, and nothing more."""
    struct, data = DATA[event.kind], msgspec.json.decode(encode_json(event.data))
    msgspec.convert(data, struct)
    assert data.keys() <= {field.encode_name for field in msgspec.structs.fields(struct)}


def test_every_kind_is_in_the_table():
    assert DATA.keys() == set(Kind)


async def test_a_load_that_bounds_what_runs_is_told_as_described(open_rig, clock):
    async with open_rig(clock=clock) as rig:
        rules = Scheduling(policy=Policy.BALANCED, least=1, cpu=Marks(60, 90), smoothing=0, interval=1.0)
        gauge = Gauge(10.0)
        governor = Governor(rig.store, gauge, rules, most=31, apply=lambda limit: None)
        for gauge.cpu in (10.0, 99.0, 99.0):
            await governor.adjust()
            clock.advance(61)
        check(await rig.kind(Kind.AGENT_ADJUSTED))
        check(await rig.kind(Kind.AGENT_THROTTLED))


async def test_dropped_facts_are_told_as_described(open_rig, clock):
    async with open_rig(clock=clock) as rig:
        await rig.run("name: w\nnodes:\n  a: {type: act}\n")
        clock.advance(1000)
        while await Housekeeper(rig.store, Retention(outbox_age=500.0)).tidy():
            pass
        check(await rig.kind(Kind.OUTBOX_DROPPED))


async def test_a_blocked_execution_is_told_as_described(open_rig, acting):
    async with open_rig(acting=acting, running=False) as rig:
        await rig.deploy("name: w\nnodes:\n  a: {type: act}\n")
        await rig.start()
    async with open_rig(acting=acting, without=("act",)) as rig:
        check(await rig.kind(Kind.WORKFLOW_BLOCKED))


@pytest.mark.parametrize("kind", [Kind.WORKFLOW_PAUSED, Kind.WORKFLOW_RESUMED, Kind.DEFINITION_UNDEPLOYED])
def test_some_kinds_say_everything_by_themselves(kind):
    assert not msgspec.structs.fields(DATA[kind])

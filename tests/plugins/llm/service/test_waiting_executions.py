"""Executions that share one model: who waits, and for what, as `ps` and `show` tell it."""

import asyncio
import threading
from typing import Any

from plugins.llm.service.models import Models
from tests.engine.conftest import Rig

WORKFLOW = """\
name: w
nodes:
  say: {type: llm, model: triage-tiny, prompt: "{{ trigger.data }}", max_tokens: 60, reuse: false}
"""


def waits(infos: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return sorted((info["waits_in"], info["waits_for"]) for info in infos)


async def queued(models: Models, count: int) -> None:
    while sum(state.waiting for state in models.states()) < count:  # noqa: ASYNC110 - a few turns of the loop
        await asyncio.sleep(0)


async def test_five_executions_take_turns_and_are_told_how_many_come_before(rig: Rig, models: Models) -> None:
    await rig.deploy(WORKFLOW)
    await rig.end(await rig.start("w", "fridge-07 temperature 14.2 C, limit 8 C"))
    resident = models._residency.get("triage-tiny")
    assert resident is not None
    go_on = threading.Event()
    resident.provider._worker._jobs.put(go_on.wait)  # type: ignore[attr-defined] # it computes for a while
    try:
        ids = [await rig.start("w", f"fridge-0{number} temperature 4 C, limit 8 C") for number in range(5)]
        async with asyncio.timeout(20):
            await queued(models, 4)

        assert waits((await rig.ask("list"))["executions"]) == [
            ("", ""),  # the first one has ended
            ("", ""),
            ("say", "model triage-tiny, 1 before it"),
            ("say", "model triage-tiny, 2 before it"),
            ("say", "model triage-tiny, 3 before it"),
            ("say", "model triage-tiny, 4 before it"),
        ]
        [state] = [state for state in models.states() if state.state == "resident"]
        assert (state.running, state.waiting) == (1, 4)
        nodes = [node for id in ids for node in (await rig.ask("show", execution=id))["nodes"]]
        assert sorted(node["waits_for"] for node in nodes) == [
            "",
            "model triage-tiny, 1 before it",
            "model triage-tiny, 2 before it",
            "model triage-tiny, 3 before it",
            "model triage-tiny, 4 before it",
        ]

        await rig.ask("cancel", execution=ids[4], reason="enough")
        assert (await rig.end(ids[4])).status == "cancelled"
        [state] = [state for state in models.states() if state.state == "resident"]
        assert (state.running, state.waiting) == (1, 3)
    finally:
        go_on.set()
    for id in ids[:4]:
        assert (await rig.end(id)).status == "completed"
    assert waits((await rig.ask("list"))["executions"]) == [("", "")] * 6

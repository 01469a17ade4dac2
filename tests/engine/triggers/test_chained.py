"""Events of one workflow start another: each once, whatever happens in between."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import msgspec
import pytest

from engine.definition.model import Happening, Workflow, WorkflowTrigger
from engine.events import Event, Identity, Kind
from engine.states import ExecutionState
from engine.store import Store, chains, deadletters, definitions, executions
from engine.store.executions import ExecutionRow
from engine.store.housekeeping import Housekeeper, Retention
from engine.store.outbox import Cursor, Outbox
from engine.triggers import chained
from engine.triggers.chained import Chained
from engine.triggers.intake import Intake
from engine.triggers.routes import Routes
from engine.values import Json

KINDS = {
    "completed": Kind.WORKFLOW_COMPLETED,
    "partial": Kind.WORKFLOW_COMPLETED,
    "failed": Kind.WORKFLOW_FAILED,
    "cancelled": Kind.WORKFLOW_CANCELLED,
}
Follow = Callable[..., Awaitable[Routes]]


@pytest.fixture
def make(store: Store, admitted) -> Callable[[], Chained]:
    outbox = Outbox(store)
    return lambda: Chained(store, outbox, admitted, Identity("a1", "default", store.epoch))


@pytest.fixture
def deploy(store: Store) -> Follow:
    """Make a workflow with these triggers the active one, and follow it."""

    async def deploy(
        service: Chained, *triggers: WorkflowTrigger, name: str = "w", version: int = 1, **more: Json
    ) -> Routes:
        await store.submit(
            lambda tx: definitions.deploy(tx, workflow=name, hash=f"{version}", source=b"", params=b"", now=0)
        )
        routes = Routes([(name, version, Workflow(name=name, triggers=triggers, **more))], agent="here")
        await service.follow(routes)
        return routes

    return deploy


@pytest.fixture
def end(store: Store, clock) -> Callable[..., Awaitable[None]]:
    """An execution of `source` ends, as the engine commits it."""

    async def end(
        id: str, status: str = "completed", *, outputs: Json = None, told: bool = True, hops: int = 0,
        source: str = "source",
    ) -> None:  # fmt: skip
        row = ExecutionRow(
            id=id, workflow=source, version=3, status=ExecutionState.RUNNING, root=id, hops=hops,
            trigger=b'{"kind":"cli","data":7}', created_at=clock.now(),
        )  # fmt: skip
        error = {"kind": "http", "message": "503", "node": "n"} if status == "failed" else None
        data: dict[str, Json] = {"status": status, "error": error} if error else {"status": status}
        if told:
            data["outputs"] = outputs

        def unit(tx) -> None:
            executions.create(tx, row)
            executions.finish(
                tx, id, ExecutionState(status), now=clock.now(), outputs=msgspec.json.encode(outputs),
                error=msgspec.json.encode(error) if error else None,
            )  # fmt: skip
            tx.fact(Event(kind=KINDS[status], time=clock.now(), workflow=source, version=3, execution=id, data=data))

        await store.submit(unit)

    return end


def on(*happenings: str, source: str = "source", when: str | None = None) -> WorkflowTrigger:
    return WorkflowTrigger(name=source, on=tuple(map(Happening, happenings)) or Happening.COMPLETED, when=when)


@asynccontextmanager
async def running(service: Chained) -> AsyncIterator[None]:
    task = asyncio.create_task(service.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def looked(service: Chained) -> None:
    """Everything that was committed is looked at."""
    while await service._look():
        pass


def causes(admitted) -> list[str]:
    return [row.cause for row in admitted.rows]


async def test_an_execution_that_completes_starts_another(make, deploy, end, admitted, store: Store) -> None:
    service = make()
    await deploy(service, on())
    async with running(service):
        await end("e1", outputs={"level": "critical"})
        while not admitted.rows:
            await store.submit(lambda tx: None)
    [row] = admitted.rows
    assert (row.workflow, row.version, row.cause, row.hops, row.root) == ("w", 1, "e1", 1, row.id)
    trigger = row.trigger_value
    assert (trigger["kind"], trigger["id"]) == ("workflow", f"a1/{store.epoch}/2")
    assert trigger["data"] == {
        "event": "completed", "execution": "e1", "workflow": "source", "version": 3, "status": "completed",
        "outputs": {"level": "critical"}, "error": None, "trigger": {"kind": "cli", "data": 7},
    }  # fmt: skip
    assert service.counters == {"started": 1, "dead": 0}


@pytest.mark.parametrize("status", ["completed", "partial", "failed", "cancelled"])
async def test_only_what_the_trigger_names_starts_one(make, deploy, end, admitted, status: str) -> None:
    service = make()
    await deploy(service, on(status))
    for number, other in enumerate(("completed", "partial", "failed", "cancelled")):
        await end(f"e{number}", other)
    await looked(service)
    [row] = admitted.rows
    assert row.trigger_value["data"]["status"] == status
    error = row.trigger_value["data"]["error"]
    assert error == ({"kind": "http", "message": "503", "node": "n"} if status == "failed" else None)


async def test_an_event_of_a_node_starts_one_too(make, deploy, end, admitted, store: Store) -> None:
    service = make()
    await deploy(service, on("node.failed", when='event.node == "b"'))
    await end("e1")
    for node in ("a", "b"):
        data = {"attempt": 1, "kind": "http", "message": "no"}
        fact = Event(kind=Kind.NODE_FAILED, time=5, workflow="source", execution="e1", node=node, data=data)
        await store.submit(lambda tx, fact=fact: tx.fact(fact))
    await looked(service)
    [row] = admitted.rows
    data = row.trigger_value["data"]
    assert (data["event"], data["node"], data["error"]) == ("node.failed", "b", {"kind": "http", "message": "no"})


async def test_a_condition_sees_the_event_and_the_parameters(make, deploy, end, admitted) -> None:
    service = make()
    await deploy(service, on(when="event.data.outputs.celsius > params.limit"), bound={"limit": 8})
    for number, celsius in enumerate((7, 9, 8, 20)):
        await end(f"e{number}", outputs={"celsius": celsius})
    await looked(service)
    assert causes(admitted) == ["e1", "e3"]


async def test_of_several_triggers_the_first_that_agrees_starts_one(make, deploy, end, admitted) -> None:
    service = make()
    await deploy(service, on("completed", when="false"), on("completed", "failed"), on("failed"))
    await end("e1")
    await end("e2", "failed")
    await looked(service)
    assert causes(admitted) == ["e1", "e2"]


@pytest.mark.parametrize(
    ("when", "reason"),
    [("event.data.outputs.level > 3", "when: "), ("event.data.outputs", "when: expected true or false")],
)
async def test_a_condition_that_cannot_be_decided_is_a_dead_letter(
    make, deploy, end, admitted, store: Store, when: str, reason: str
) -> None:
    service = make()
    routes = await deploy(service, on(when=when))
    await end("e1", outputs={"other": 1})
    await looked(service)
    assert admitted.rows == []
    [letter] = await store.read(deadletters.listing)
    assert (letter.origin, letter.workflow, letter.subject) == ("chain", "w", "source completed")
    assert letter.reason.startswith(reason)
    intake = Intake(store, admitted, routes)
    execution = await intake.start_again(letter)
    [row] = admitted.rows
    assert (row.id, row.hops, row.trigger_value["data"]["execution"]) == (execution, 0, "e1")
    [letter] = await store.read(deadletters.listing)
    assert letter.replayed_at is not None


async def test_a_circle_ends_in_a_dead_letter(make, deploy, end, admitted, store: Store) -> None:
    service = make()
    await deploy(service, on())
    await end("e1", hops=15)
    await end("e2", hops=16)
    await looked(service)
    assert causes(admitted) == ["e1"]
    [letter] = await store.read(deadletters.listing)
    assert letter.reason.startswith("17 executions caused each other in a row, and 16 are allowed")


async def test_what_was_before_the_deploy_starts_nothing(make, deploy, end, admitted) -> None:
    service = make()
    await end("e1")
    await deploy(service, on())
    await end("e2")
    await looked(service)
    assert causes(admitted) == ["e2"]


async def test_a_restart_loses_and_repeats_nothing(make, deploy, end, admitted) -> None:
    service = make()
    await deploy(service, on())
    await end("e1")
    await looked(service)
    await end("e2")
    again = make()
    await deploy(again, on())
    await end("e3")
    await looked(again)
    assert causes(admitted) == ["e1", "e2", "e3"]


async def test_a_new_version_goes_on_where_the_old_one_was(make, deploy, end, admitted) -> None:
    service = make()
    await deploy(service, on())
    await end("e1", "failed")
    await end("e2")
    await looked(service)
    await deploy(service, on("failed", "completed"), version=2)
    await end("e3", "failed")
    await looked(service)
    again = make()
    await deploy(again, on("failed", "completed"), version=2)
    await looked(again)
    assert causes(admitted) == ["e2", "e3"]
    assert [row.version for row in admitted.rows] == [1, 2]


async def test_after_an_undeploy_nothing_starts_and_a_later_deploy_begins_anew(
    make, deploy, end, admitted, store: Store
) -> None:
    service = make()
    await deploy(service, on())
    await store.submit(lambda tx: definitions.undeploy(tx, "w", 0))
    await end("e1")
    await looked(service)
    await service.follow(Routes(agent="here"))
    await end("e2")
    await looked(service)
    assert await store.submit(chains.listing) == {}
    await deploy(service, on())
    await end("e3")
    await looked(service)
    assert causes(admitted) == ["e3"]


async def test_a_definition_that_cannot_be_loaded_now_goes_on_later(make, deploy, end, admitted) -> None:
    service = make()
    await deploy(service, on())
    await make().follow(Routes(agent="here"))
    await end("e1")
    again = make()
    await deploy(again, on())
    await looked(again)
    assert causes(admitted) == ["e1"]


async def test_large_outputs_come_from_the_execution(make, deploy, end, admitted) -> None:
    service = make()
    await deploy(service, on(when="event.data.outputs|length > 10"))
    await end("e1", outputs="x" * 100_000, told=False)
    await looked(service)
    [row] = admitted.rows
    assert len(row.trigger_value["data"]["outputs"]) == 100_000


async def test_facts_stay_until_every_chain_has_looked_at_them(
    make, deploy, end, admitted, store: Store, clock
) -> None:
    service = make()
    await deploy(service, on())
    for number in range(5):
        await end(f"e{number}")
    await Outbox(store).advance(Cursor(name="local", seq=6))
    clock.pass_by(3600)
    keeper = Housekeeper(store, Retention(age=None, outbox_keep=60))
    await keeper.tidy()
    await looked(service)
    assert len(admitted.rows) == 5
    await keeper.tidy()
    assert await store.read(lambda db: db.execute("SELECT COUNT(*) FROM facts").fetchone()[0]) == 0


async def test_facts_of_no_concern_do_not_hold_retention_up(make, deploy, end, store: Store, monkeypatch) -> None:
    monkeypatch.setattr(chained, "MAX_BEHIND", 10)
    service = make()
    await deploy(service, on())
    for number in range(30):
        await end(f"e{number}", source="another")
    await looked(service)
    assert (await store.submit(chains.listing))["w", "source"] >= 20


async def test_an_execution_that_is_gone_leaves_a_dead_letter(make, deploy, end, admitted, store: Store) -> None:
    service = make()
    await deploy(service, on())
    await end("e1", outputs=1)
    await store.submit(lambda tx: tx.execute("DELETE FROM executions"))
    await looked(service)
    assert admitted.rows == []
    [letter] = await store.read(deadletters.listing)
    assert "no longer stored" in letter.reason
    assert msgspec.json.decode(letter.body)["data"]["outputs"] == 1

"""One life of an engine that a test kills: takes messages in, runs them, and ends when all have ended.

    python driver.py FOLDER COUNT [WORKFLOW]

Every life offers the same messages again, as a stream does that got no acknowledgement. Effects go into an append-only
file that is on the disk before the node returns; so do the acknowledgements. A node in doubt is resolved as completed,
by a person who believes it. Run with GANGLION_CRASH_AT=point:n to die at the n-th passing of a point.
"""

import asyncio
import os
import sys
from contextlib import suppress
from pathlib import Path

import msgspec

from engine.contract import Context, Done, Effect, Fail, NodeType, Outcome
from engine.engine import Engine
from engine.events import Bus, Identity, Kind
from engine.execution.control import control_types
from engine.execution.services import ExecutionConfig, Services
from engine.states import NodeState
from engine.store import Store
from engine.store.checkpoints import NodeRow
from engine.triggers.message import Fate, Message
from engine.values import Json
from plugins.registry import Registry

WORKFLOW = b"""\
name: w
triggers: [{nats: {subject: "in.>"}}]
nodes:
  first: {type: effect, data: "{{ trigger.data.x }}"}
  square: {type: calc, data: "{{ nodes.first * nodes.first }}"}
  way: {type: if, condition: nodes.square >= 0}
  pay: {type: once, needs: way.then, data: "{{ nodes.square }}"}
  never: {type: effect, needs: way.else}
  tell: {type: effect, needs: pay, data: {publish: "{{ nodes.square }}"}}
  wait: {type: sleep, needs: first, duration: 1ms}
  last: {type: effect, needs: [tell, wait], data: "{{ nodes.square + 1 }}"}
outputs: "{{ nodes.last }}"
"""


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    data: Json = None


def append(path: Path, line: str) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.write(file, line.encode() + b"\n")
    os.fsync(file)
    os.close(file)


def types(sink: Path) -> Registry:
    async def act(ctx: Context, params: Params) -> Outcome:
        append(sink, f"{ctx.execution} {ctx.path} {ctx.attempt} {ctx.idempotency_key}")
        if params.data == "refuse":
            return Fail("refused", kind="refused")
        if isinstance(params.data, dict):
            ctx.publish("out.tell", str(params.data["publish"]).encode())
        return Done(params.data)

    async def calc(ctx: Context, params: Params) -> Outcome:
        return Done(params.data)

    def made(name: str, effect: Effect, run) -> NodeType:  # type: ignore[no-untyped-def]
        return NodeType(name=name, description="", params=Params, run=run, effect=effect, pure_capable=True, example="")

    return Registry(
        [
            *control_types(),
            made("effect", Effect.AT_LEAST_ONCE, act),
            made("once", Effect.AT_MOST_ONCE, act),
            made("calc", Effect.PURE, calc),
        ]
    )


async def main(folder: Path, count: int, workflow: bytes = WORKFLOW) -> None:
    bus = Bus()
    async with Store.open(folder / "ganglion.db", bus=bus) as store:
        services = Services(bus=bus, config=ExecutionConfig(max_deaths=1000, max_executions=4))
        engine = Engine(
            store, types=types(folder / "sink"), services=services, identity=Identity("a1", "default", store.epoch)
        )
        await engine.prepare()
        await engine.deploy(workflow)
        with bus.subscribe(live=False, limit=100_000) as facts:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(engine.run())
                await offer(engine, folder / "acknowledged", count)
                while await unfinished(store) or await amount(store) < count:
                    for fact in await facts.wait():
                        if fact.kind is Kind.NODE_IN_DOUBT:
                            tasks.create_task(resolve(engine, fact.execution, fact.node))
                    for execution, node in await in_doubt(store):
                        tasks.create_task(resolve(engine, execution, node))
                engine.drain()


async def offer(engine: Engine, acknowledged: Path, count: int) -> None:
    """Messages in small batches; what was accepted, now or before, is acknowledged after the commit."""
    now = engine.store.clock.now()
    for i in range(0, count, 2):
        batch = [
            Message(
                subject=f"in.{n}",
                body=b'{"x": %d}' % n,
                headers={"Nats-Msg-Id": f"id-{n}"},
                received_at=now,
                stream="S",
                stream_created="c",
                sequence=n + 1,
                workflow="",
            )
            for n in range(i, min(i + 2, count))
        ]
        for message, receipt in zip(batch, await engine.intake.accept(batch), strict=True):
            assert receipt.fate in (Fate.ACCEPTED, Fate.DUPLICATE), receipt
            append(acknowledged, f"{message.headers['Nats-Msg-Id']} {receipt.executions[0]}")


async def resolve(engine: Engine, execution: str, node: str) -> None:
    row = NodeRow(path=node, status=NodeState.COMPLETED, attempt=1, output=b'"resolved"', finished_at=1)
    with suppress(ValueError):  # it is resolved already
        await engine.steering.resolve(execution, row)


async def unfinished(store: Store) -> int:
    return await store.read(
        lambda db: db.execute("SELECT COUNT(*) FROM executions WHERE finished_at IS NULL").fetchone()[0]
    )


async def amount(store: Store) -> int:
    return await store.read(lambda db: db.execute("SELECT COUNT(*) FROM executions").fetchone()[0])


async def in_doubt(store: Store) -> list[tuple[str, str]]:
    """Nodes in doubt of executions that wait."""
    return await store.read(
        lambda db: db.execute(
            "SELECT execution, path FROM nodes JOIN executions ON id = execution "
            "WHERE nodes.status = 'in_doubt' AND executions.status = 'waiting'"
        ).fetchall()
    )


if __name__ == "__main__":
    given = [Path(path).read_bytes() for path in sys.argv[3:]]
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), *given))

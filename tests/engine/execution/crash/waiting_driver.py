"""One life of an engine that a test kills: orders wait for their payment, for a person, and for a child execution.

    python waiting_driver.py FOLDER COUNT

Every life offers the same messages again, as a stream does that got no acknowledgement; payments of even orders come
before their orders. Whoever sees an open form submits it. It ends when all executions have ended.
"""

import asyncio
import os
import sys
from contextlib import suppress
from pathlib import Path

import msgspec

from engine.contract import Context, Done, Effect, NodeType, Outcome
from engine.control import Refused
from engine.control.engine import engine_verbs
from engine.control.form_messages import Forms, Submit
from engine.engine import Engine
from engine.events import Bus, Identity
from engine.execution.control import control_types
from engine.execution.services import ExecutionConfig, Services
from engine.store import Store
from engine.triggers.message import Fate, Message
from engine.values import Json
from plugins.registry import Registry

ORDER = b"""\
name: order
triggers: [{nats: {subject: orders.new}}]
nodes:
  paid: {type: wait, message: {subject: "orders.*.paid", key: message.data.order, equals: "{{ trigger.data }}"}}
  ask: {type: form, needs: paid, title: "ship {{ trigger.data }}?", fields: {ship: {type: boolean, default: true}}}
  sub: {type: workflow, needs: ask, workflow: pack, input: "{{ trigger.data }}"}
  last: {type: effect, data: "{{ nodes.sub }}"}
outputs: "{{ [nodes.paid.data.amount, nodes.ask.by, nodes.last] }}"
"""
PACK = b"""\
name: pack
nodes:
  first: {type: effect, data: "{{ trigger.data }}"}
  pause: {type: sleep, needs: first, duration: 1ms}
  second: {type: effect, needs: pause, data: "{{ nodes.first * 10 }}"}
outputs: "{{ nodes.second }}"
"""


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    data: Json = None


def types(sink: Path) -> Registry:
    async def act(ctx: Context, params: Params) -> Outcome:
        file = os.open(sink, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.write(file, f"{ctx.execution} {ctx.path} {ctx.idempotency_key}\n".encode())
        os.fsync(file)
        os.close(file)
        return Done(params.data)

    effect = NodeType(
        name="effect", description="", params=Params, run=act, effect=Effect.AT_LEAST_ONCE, example=""
    )  # fmt: skip
    return Registry([*control_types(), effect])


async def main(folder: Path, count: int) -> None:
    bus = Bus()
    async with Store.open(folder / "ganglion.db", bus=bus) as store:
        services = Services(bus=bus, config=ExecutionConfig(max_deaths=1000, max_executions=1))
        engine = Engine(
            store, types=types(folder / "sink"), services=services, identity=Identity("a1", "default", store.epoch)
        )
        await engine.prepare()
        await engine.deploy(PACK)
        await engine.deploy(ORDER)
        with bus.subscribe(live=False, limit=100_000) as facts:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(engine.run())
                await offer(engine, count)
                while not await ended(store, count):
                    await submit_all(engine)
                    with suppress(TimeoutError):
                        async with asyncio.timeout(0.05):
                            await facts.wait()
                engine.drain()


async def offer(engine: Engine, count: int) -> None:
    now = engine.store.clock.now()
    numbers = range(1, count + 1)
    early = [message(f"orders.{n}.paid", {"order": n, "amount": n * 100}, n + 1000, now) for n in numbers if n % 2 == 0]
    new = [message("orders.new", n, n, now) for n in numbers]
    late = [message(f"orders.{n}.paid", {"order": n, "amount": n * 100}, n + 1000, now) for n in numbers if n % 2]
    for batch in (early, new, late):
        for receipt in await engine.intake.accept(batch):
            assert receipt.fate in (Fate.ACCEPTED, Fate.DUPLICATE), receipt


def message(subject: str, data: Json, sequence: int, now: int) -> Message:
    return Message(
        subject=subject, body=msgspec.json.encode(data), received_at=now, stream="S", stream_created="c",
        sequence=sequence,
    )  # fmt: skip


async def submit_all(engine: Engine) -> None:
    verbs = {verb.name: verb for verb in engine_verbs(engine)}
    listed = msgspec.to_builtins(await verbs["forms"].handle(Forms()))
    for form in listed["forms"]:
        with suppress(Refused):
            await verbs["submit"].handle(Submit(form=form["form"], by="ann"))


async def ended(store: Store, count: int) -> bool:
    done = "SELECT COUNT(*) FROM executions WHERE workflow = 'order' AND finished_at IS NOT NULL"
    left = "SELECT COUNT(*) FROM executions WHERE finished_at IS NULL"
    return await store.read(
        lambda db: db.execute(done).fetchone()[0] == count and db.execute(left).fetchone()[0] == 0
    )  # fmt: skip


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))

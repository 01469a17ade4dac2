"""A copied store goes on as another agent's."""

from engine.dispatch.renewal import renew
from engine.events import Kind
from engine.states import ExecutionState
from engine.store import executions
from engine.store.outbox import Publication, publish

TWO = "name: w\nnodes:\n  a: {type: act}\n  nap: {type: sleep, needs: a, duration: 1h}\n  b: {type: act, needs: nap}\n"


def count(db, table: str) -> int:
    return int(db.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0])


async def some_work(rig) -> tuple[str, str, str]:
    """One that has ended, one that waits, one that is queued; and a message that was not sent."""
    await rig.deploy("name: done\nnodes:\n  a: {type: act}\n")
    await rig.deploy(TWO)
    done = await rig.start("done")
    await rig.end(done)
    waiting = await rig.start("w")
    await rig.event(lambda event: event.kind is Kind.NODE_WAITING and event.execution == waiting)
    rig.engine.drain()
    queued = await rig.start("w")
    message = Publication(execution=done, path="a", subject="out", headers={}, body=b"1")
    await rig.store.submit(lambda tx: publish(tx, message, rig.store.clock.now()))
    return done, waiting, queued


async def test_what_was_under_way_is_cancelled_and_what_had_ended_stays(open_rig) -> None:
    async with open_rig() as rig:
        done, waiting, queued = await some_work(rig)
        before = rig.store.epoch
        last = await rig.store.read(lambda db: db.execute("SELECT MAX(seq) FROM facts").fetchone()[0])
    async with open_rig(running=False) as rig:
        renewed = await renew(rig.store)
        assert (renewed.cancelled, renewed.dropped > 1) == (2, True)
        facts = await rig.store.read(lambda db: db.execute("SELECT seq, kind FROM facts ORDER BY seq").fetchall())
        assert facts == [(last + 1, "workflow.cancelled"), (last + 2, "workflow.cancelled")]
        assert await rig.store.read(lambda db: count(db, "publications")) == 0
    async with open_rig() as rig:
        assert rig.store.epoch == renewed.epoch != before
        states = [(await rig.row(id)).status for id in (done, waiting, queued)]
        assert states == [ExecutionState.COMPLETED, ExecutionState.CANCELLED, ExecutionState.CANCELLED]
        assert rig.ran() == []  # nothing of it runs again
        assert b"copy of another" in ((await rig.row(waiting)).error or b"")
        again = await rig.start("done")  # it works
        assert (await rig.end(again)).status is ExecutionState.COMPLETED


async def test_a_renewal_that_was_interrupted_is_repeated(open_rig) -> None:
    async with open_rig() as rig:
        await some_work(rig)
    async with open_rig(running=False) as rig:
        first = await renew(rig.store)
        second = await renew(rig.store)
        assert second.cancelled == 0
        assert second.epoch != first.epoch
        assert await rig.store.read(lambda db: executions.open_ids(db, *ExecutionState)) == []


async def test_what_the_clone_accepted_itself_goes_on(open_rig) -> None:
    async with open_rig() as rig:
        _, waiting, queued = await some_work(rig)
        border = (await rig.row(queued)).created_at
        assert (await rig.row(waiting)).created_at < border
    async with open_rig(running=False) as rig:
        renewed = await renew(rig.store, own_since=border)
        assert renewed.cancelled == 1
        assert await rig.store.read(lambda db: count(db, "publications")) == 1
        assert (await rig.row(waiting)).status is ExecutionState.CANCELLED
    async with open_rig() as rig:
        await rig.event(lambda event: event.kind is Kind.NODE_WAITING and event.execution == queued)


async def test_with_keep_everything_goes_on(open_rig) -> None:
    async with open_rig() as rig:
        _, waiting, queued = await some_work(rig)
    async with open_rig(running=False) as rig:
        assert (await renew(rig.store, keep=True)).cancelled == 0
        assert await rig.store.read(lambda db: count(db, "publications")) == 1
    async with open_rig() as rig:
        await rig.event(lambda event: event.kind is Kind.NODE_WAITING and event.execution == queued)
        assert (await rig.row(waiting)).status is ExecutionState.WAITING

"""What happened, and how the engine is."""

import sqlite3

import msgspec

from engine.control.messages import EngineStatus, EventList, Events, Nothing
from engine.control.queue_view import queues
from engine.control.verb import Verb
from engine.engine import Engine
from engine.events import Event, cloudevent
from engine.store import deadletters, executions, outbox, turns

MAX_BYTES = 600 * 1024
"""Of the events in one answer; NATS takes a megabyte."""


def observing_verbs(engine: Engine) -> tuple[Verb, ...]:
    store = engine.store

    async def events(request: Events) -> EventList:
        limit = max(1, min(request.limit, 1000))

        def read(db: sqlite3.Connection) -> tuple[int, list[Event]]:
            newest = outbox.last_seq(db)  # before the facts: one that is committed in between is not left out then
            return newest, outbox.history(
                db, after=request.after, limit=limit, execution=request.execution, workflow=request.workflow
            )  # fmt: skip

        newest, facts = await store.read(read)
        told = _fitting(facts, newest_first=request.after is None, engine=engine)
        all_of_them = request.execution is None and request.workflow is None and request.after is not None
        through = 0
        if all_of_them:
            is_page = len(told) < len(facts) or len(facts) == limit
            through = facts[len(told) - 1].seq if is_page else max(newest, facts[-1].seq if facts else 0)
        return EventList(events=told, epoch=engine.identity.epoch, through=through)

    async def status(request: Nothing) -> EngineStatus:
        counts = await store.read(executions.count_by_state)
        dead = await store.read(deadletters.count)
        state = "draining" if engine.executor.draining else "disk-full" if store.writer.full else "running"
        counters = {f"messages.{fate}": count for fate, count in engine.intake.counters.items()}
        counters |= {f"executions.{state}": count for state, count in engine.executor.finished.items()}
        return EngineStatus(
            state=state,
            executions=counts,
            free_slots=engine.executor.free_slots(),
            workflows=len(engine.catalogue.active),
            dead_letters=dead,
            last_seq=await store.read(outbox.last_seq),
            counters=counters | {"commits": store.writer.commits},
            scheduling=engine.governor.regime,
            queues=queues(await store.read(turns.counts), engine.executor.lines, store.clock),
        )

    return (
        Verb(name="events", description="Facts of the past, oldest first.", request=Events, answer=EventList,
             handle=events),
        Verb(name="engine", description="How the engine is.", request=Nothing, answer=EngineStatus, handle=status),
    )  # fmt: skip


def _fitting(facts: list[Event], *, newest_first: bool, engine: Engine) -> list[msgspec.Raw]:
    """As many as an answer holds, the oldest or the newest of them; still the oldest first."""
    told: list[msgspec.Raw] = []
    size = 0
    for fact in reversed(facts) if newest_first else facts:
        event = msgspec.Raw(cloudevent(fact, engine.identity))
        size += len(bytes(event))
        if told and size > MAX_BYTES:
            break
        told.append(event)
    return told[::-1] if newest_first else told

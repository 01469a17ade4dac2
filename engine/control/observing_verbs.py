"""What happened, and how the engine is."""

import msgspec

from engine.control.messages import EngineStatus, EventList, Events, Nothing
from engine.control.queue_view import queues
from engine.control.verb import Verb
from engine.engine import Engine
from engine.events import cloudevent
from engine.store import deadletters, executions, outbox, turns


def observing_verbs(engine: Engine) -> tuple[Verb, ...]:
    store = engine.store

    async def events(request: Events) -> EventList:
        facts = await store.read(
            lambda db: outbox.history(
                db,
                after=request.after,
                limit=max(1, min(request.limit, 1000)),
                execution=request.execution,
                workflow=request.workflow,
            )
        )
        return EventList(events=[msgspec.Raw(cloudevent(fact, engine.identity)) for fact in facts])

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

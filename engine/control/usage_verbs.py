"""Who used most, and how that grows."""

import sqlite3

from engine.control.consumers import DAY, WEEK, hour_uses, node_uses, top, workflow_uses
from engine.control.usage_messages import ORDERS, UsageQuery, UsageReport
from engine.control.verb import Refused, Verb
from engine.definition.problems import suggestion
from engine.engine import Engine
from engine.store import usage
from engine.store.usage import HOUR, KEEP


def usage_verbs(engine: Engine) -> tuple[Verb, ...]:
    store = engine.store

    async def report(request: UsageQuery) -> UsageReport:
        if request.by not in ORDERS:
            raise Refused(400, f"by: there is no order {request.by} ({suggestion(request.by, ORDERS)})")
        now = store.clock.now()
        hour = now // HOUR + 1
        hours = max(1, min(request.hours, KEEP))
        limit = max(1, min(request.limit, 1000))
        since = hour - hours

        def read(db: sqlite3.Connection) -> UsageReport:
            used = usage.totals(db, since=since, before=hour)
            day = usage.totals(db, since=hour - DAY, before=hour)
            week = usage.totals(db, since=hour - DAY - WEEK, before=hour - DAY)
            found = workflow_uses(used, day, week)
            rows = usage.node_uses(db, since=since * HOUR, workflow=request.workflow)
            past = usage.history(db, since=since, workflow=request.workflow, step=max(1, request.step))
            return UsageReport(
                workflows=top((one for one in found if request.workflow in (None, one.workflow)), request.by, limit),
                nodes=top(node_uses(rows), request.by, limit),
                history=hour_uses(past),
            )

        return await store.read(read)

    return (
        Verb(name="usage", description="Who used most, and how that grows.", request=UsageQuery, answer=UsageReport,
             handle=report),
    )  # fmt: skip

"""Look at executions: a list of them, one in full, the checkpoints that it could be forked at."""

import asyncio
import sqlite3
from collections.abc import Mapping
from functools import partial

import msgspec

from engine.clock import format_time
from engine.control.execution_view import ExecutionView, told
from engine.control.messages import ExecutionInfo, Executions, List
from engine.control.naming import full_id
from engine.control.queue_view import with_reason
from engine.control.shortening import shortened
from engine.control.snapshot import KEEP_SECONDS, Snapshots
from engine.control.verb import Refused, Verb
from engine.control.views import CheckpointInfo, CheckpointList, Checkpoints, RelativeInfo, Show, Shown
from engine.dispatch.catalogue import Unloadable
from engine.engine import Engine
from engine.execution.path import BadPath, read_path
from engine.planning.plan import Plan
from engine.states import FINISHED, ExecutionState
from engine.steering.row_tree import RowTree
from engine.store import StoreCorrupt, checkpoints, executions, looking, turns, values
from engine.store.executions import ExecutionRow
from engine.store.looking import Waiting
from engine.values import Json, encode_json

MAX_ANSWER = 600 * 1024
"""Bytes; NATS takes a megabyte."""
SIZES = ((400, 1500), (400, 400), (400, 120), (100, 120))
"""How many nodes and bodies there may be, and bytes of JSON in one value, tried until the answer fits."""
MANY = ((1600, 300), (1600, 120), (400, 120), (100, 120))
"""The same where all are asked for, page by page."""
WHOLE = 256 * 1024
"""Bytes of a value where one node is asked for, and of the outputs."""
MAX_TRIGGER = 32 * 1024


def showing_verbs(engine: Engine) -> tuple[Verb, ...]:
    store, executor, catalogue = engine.store, engine.executor, engine.catalogue
    snapshots = Snapshots(engine.services)
    awaited = engine.services.waits.of

    async def list_(request: List) -> Executions:
        try:
            states = [ExecutionState(status) for status in request.status]
        except ValueError as error:
            raise Refused(400, f"{error}; the states are {', '.join(ExecutionState)}") from None
        limit = max(1, min(request.limit, 1000))

        def read(db: sqlite3.Connection) -> tuple[list[ExecutionRow], dict[str, int], list[Waiting]]:
            rows = executions.listing(
                db, workflow=request.workflow, states=states, before=request.before, limit=limit
            )  # fmt: skip
            if request.tree:
                known = {row.id for row in rows}
                more = [id for id in looking.descendants(db, list(known)) if id not in known]
                rows += [executions.glimpse(db, id) for id in more]
            under_way = [row.id for row in rows if row.status not in FINISHED]
            return rows, looking.settled(db, under_way), looking.waiting(db, under_way)

        rows, settled, waiting = await store.read(read)
        first: dict[str, Waiting] = {}
        for wait in waiting:
            first.setdefault(wait.execution, wait)
        now = store.clock.now()
        open_ones = [row.id for row in rows if row.status not in FINISHED]
        standings = await store.read(lambda db: turns.standings(db, open_ones))
        infos = []
        for row in rows:
            total = 0 if row.status in FINISHED else len(plan.nodes) if (plan := await plan_of(row)) else 0
            info = _info(
                row, now, settled=settled.get(row.id, 0), total=total, waits=first.get(row.id), turns=awaited(row.id)
            )
            infos.append(with_reason(info, standings.get(row.id), executor.lines, store.clock))
        return Executions(executions=infos)

    async def show(request: Show) -> Shown:
        id = await full_id(store, request.execution)
        try:
            row = await store.read(lambda db: executions.get(db, id))
            if row is None:
                raise Refused(404, f"no execution {id}")
            plan = await plan_of(row)
            under_way, turns_of = executor.under_way(id), awaited(id)
            shown = await store.read(lambda db: picture(db, request, row, plan, under_way, turns_of))
            asyncio.get_running_loop().call_later(KEEP_SECONDS, snapshots.drop)
            standing = await store.read(lambda db: turns.standing(db, id))
            info = with_reason(shown.info, standing, executor.lines, store.clock)
            return msgspec.structs.replace(shown, info=info)
        except StoreCorrupt as error:
            raise Refused(422, str(error)) from None
        except BadPath as error:
            raise Refused(400, str(error)) from None

    def picture(
        db: sqlite3.Connection, request: Show, row: ExecutionRow, plan: Plan | None, under_way: dict[str, int],
        turns_of: Mapping[str, str],
    ) -> Shown:  # fmt: skip
        """On the reader's thread: many rows take a while, and large values are read where they are needed."""
        snapshot = snapshots.of(db, row, plan, under_way)
        if request.node:
            _check_place(request.node, plan, snapshot.tree)
        now = store.clock.now()
        sizes = MANY if request.all else SIZES
        for infos, limit in ((sizes[0][0], WHOLE), *sizes) if request.node and not request.after else sizes:
            view = ExecutionView(
                plan, snapshot.tree, snapshot.inspection, waiting=snapshot.waiting, children=snapshot.children, now=now,
                all=request.all, limit=limit, infos=infos, load=partial(values.load, db), turns=turns_of,
            )  # fmt: skip
            if request.node:
                nodes, more = [view.one(request.node, request.after)], 0
            else:
                nodes, more = view.nodes(request.after)
            bound = plan.workflow.bound if plan is not None else {}
            waits = snapshot.waiting[0] if snapshot.waiting else None
            total = 0 if plan is None else len(plan.nodes)
            shown = Shown(
                info=_info(row, now, settled=snapshot.settled, total=total, waits=waits, turns=turns_of),
                trigger=shortened(row.trigger_value, min(MAX_TRIGGER, 16 * limit))[0],
                params=shortened({**bound, **row.param_values}, min(MAX_TRIGGER, 16 * limit))[0],
                outputs=shortened(_decoded(row.outputs), WHOLE)[0],
                error=_decoded(row.error),
                cause=row.cause,
                nodes=nodes,
                more=more,
                children=[
                    RelativeInfo(
                        execution=child.id, path=child.path, workflow=child.workflow, version=child.version,
                        status=child.status,
                    )
                    for child in snapshot.children
                ],
                statistics=view.statistics(),
                usage=None if row.finished_at is None else _decoded(row.statistics),
            )  # fmt: skip
            if len(encode_json(shown)) <= MAX_ANSWER:
                break
        return shown

    async def points(request: Checkpoints) -> CheckpointList:
        id = await full_id(store, request.execution)
        limit = max(1, min(request.limit, 1000))
        found = await store.read(lambda db: checkpoints.listing(db, id, after=request.after, limit=limit))
        return CheckpointList(
            execution=id,
            checkpoints=[
                CheckpointInfo(seq=point.seq, time=_time(point.time), node=point.path, status=point.status)
                for point in found
            ],
        )

    async def plan_of(row: ExecutionRow) -> Plan | None:
        try:
            return await catalogue.plan(row.workflow, row.version)
        except Unloadable:
            return None

    return (
        Verb(name="list", description="Executions, newest first.", request=List, answer=Executions, handle=list_),
        Verb(name="show", description="All about one execution.", request=Show, answer=Shown, handle=show),
        Verb(name="checkpoints", description="The points of an execution that a fork can begin at.",
             request=Checkpoints, answer=CheckpointList, handle=points),
    )  # fmt: skip


def _check_place(path: str, plan: Plan | None, tree: RowTree) -> None:
    """Raise Refused unless there is such a node or body. Raises BadPath."""
    place = read_path(path)
    if path in tree or (plan is not None and not place.holder and place.name in plan.index):
        return
    if not place.is_body and place.holder in tree:
        return
    near = place.holder if place.holder in tree else place.name
    raise Refused(404, f"it has run no {path}; `ganglion show ID --node {near} --all` shows what there is")


def _info(
    row: ExecutionRow, now: int, *, settled: int, total: int, waits: Waiting | None, turns: Mapping[str, str]
) -> ExecutionInfo:
    place, reason = next(iter(turns.items()), ("", "")) if waits is None else (waits.path, told(waits))
    error = _decoded(row.error)
    began = row.retried_at or row.started_at
    return ExecutionInfo(
        num=row.num,
        execution=row.id,
        workflow=row.workflow,
        version=row.version,
        status="pausing" if row.pausing and row.status not in FINISHED else row.status.value,
        created_at=format_time(row.created_at),
        started_at=_time(row.started_at),
        finished_at=_time(row.finished_at),
        duration=None if began is None else ((row.finished_at or now) - began) / 1_000_000,
        error=str(error.get("message", "")) if isinstance(error, dict) else "",
        parent=row.parent,
        parent_path=row.parent_path,
        forked_from=row.forked_from,
        retried_at=_time(row.retried_at),
        settled=settled,
        total=total,
        waits_in=place,
        waits_for=reason,
        due=_time(row.due if waits is None else waits.due),
    )


def _time(microseconds: int | None) -> str | None:
    return None if microseconds is None else format_time(microseconds)


def _decoded(body: bytes | None) -> Json:
    return None if body is None else msgspec.json.decode(body)

"""Forms that wait for people: which are open, and submitting one."""

import msgspec

from engine.clock import format_time
from engine.control.form_messages import FormInfo, FormList, Forms, Submit, Submitted
from engine.control.verb import Refused, Verb
from engine.definition.model import Param
from engine.definition.parameters import bind_params
from engine.definition.problems import InvalidWorkflow
from engine.engine import Engine
from engine.store import StoreFull, Transaction, waits
from engine.store.waits import WaitRow
from engine.values import InvalidValue, Json, check_value, encode_json

MAX_BYTES = 1024 * 1024
"""Of what is submitted."""
MAX_NAME = 200


def form_verbs(engine: Engine) -> tuple[Verb, ...]:
    store = engine.store

    async def forms(request: Forms) -> FormList:
        key = request.form.strip().lower()
        limit = max(1, min(request.limit, 1000))
        rows = await store.read(
            lambda db: waits.listing(db, waits.FORM, key=key, ended=request.all or bool(key), limit=limit)
        )
        infos = [_info(row) for row in rows]
        if request.form and not infos:
            raise Refused(404, f"no form {request.form}; `ganglion forms` lists the open ones")
        if request.assignee:
            infos = [info for info in infos if not info.assignees or request.assignee in info.assignees]
        return FormList(forms=infos)

    async def submit(request: Submit) -> Submitted:
        row = await find(request.form)
        info = _info(row)
        by = request.by.strip()[:MAX_NAME]
        if info.assignees and by not in info.assignees:
            raise Refused(403, f"form {row.key} is for {', '.join(info.assignees)}, not for {by or 'nobody'}")
        values = _values(info, request.values)
        now = store.clock.now()
        answer = encode_json({"values": values, "by": by, "at": format_time(now)})

        def unit(tx: Transaction) -> WaitRow | None:
            """None if it was open; else what became of it."""
            if (row.due is None or now < row.due) and waits.answer(tx, waits.FORM, row.key, answer, now):
                waits.submitted(tx, row, by, now)
                return None
            return next(iter(waits.listing(tx.db, waits.FORM, key=row.key, ended=True)), row)

        try:
            refusal = await store.submit(unit, patient=False)
        except StoreFull as error:
            raise Refused(503, str(error)) from None
        if refusal is not None:
            raise Refused(409, _closed(refusal))
        return Submitted(form=row.key, execution=row.execution, node=row.path, values=values)

    async def find(prefix: str) -> WaitRow:
        """The form that a person meant: an open one, else one of the past."""
        key = prefix.strip().lower()
        if not key:
            raise Refused(400, "which form? `ganglion forms` lists the open ones")
        rows = await store.read(lambda db: waits.listing(db, waits.FORM, key=key, ended=True, limit=20))
        exact = [row for row in rows if row.key == key]
        found = exact or [row for row in rows if _is_open(row)] or rows
        if not found:
            raise Refused(404, f"no form {prefix}; `ganglion forms` lists the open ones")
        if len(found) > 1:
            raise Refused(409, f"{key} is the beginning of several: {', '.join(row.key for row in found[:5])}")
        if not _is_open(found[0]):
            raise Refused(409, _closed(found[0]))
        return found[0]

    return (
        Verb(name="forms", description="Forms that wait for people.", request=Forms, answer=FormList, handle=forms),
        Verb(name="submit", description="Fill a form in.", request=Submit, answer=Submitted, handle=submit),
    )  # fmt: skip


class _Detail(msgspec.Struct, frozen=True):
    """What the node wrote down of a form."""

    title: str = ""
    message: str = ""
    fields: dict[str, dict[str, Json]] = {}
    assignees: list[str] = []


def _info(row: WaitRow) -> FormInfo:
    detail = msgspec.json.decode(row.detail, type=_Detail)
    answer = None if row.answer is None else msgspec.json.decode(row.answer)
    return FormInfo(
        form=row.key,
        status="open" if _is_open(row) else "closed" if answer is None else "submitted",
        execution=row.execution,
        workflow=row.workflow,
        node=row.path,
        title=detail.title,
        message=detail.message,
        fields=detail.fields,
        assignees=detail.assignees,
        opened_at=format_time(row.created_at),
        until=None if row.due is None else format_time(row.due),
        answer=answer,
    )


def _is_open(row: WaitRow) -> bool:
    return row.answered_at is None and row.ended_at is None


def _closed(row: WaitRow) -> str:
    if row.answer is not None:
        answer = msgspec.json.decode(row.answer)
        return f"form {row.key} was submitted by {answer['by'] or 'somebody'} at {answer['at']}"
    if row.due is not None:
        return f"form {row.key} is closed: its time was over at {format_time(row.due)}"
    return f"form {row.key} is closed: its execution waits no more"


def _values(info: FormInfo, given: dict[str, Json]) -> dict[str, Json]:
    """What is submitted, whole. Raises Refused with each field that is wrong."""
    try:
        check_value(given)
        if len(encode_json(given)) > MAX_BYTES:
            raise InvalidValue(f"more than {MAX_BYTES} bytes")
        return bind_params(msgspec.convert(info.fields, dict[str, Param]), given)
    except InvalidWorkflow as error:
        told = []
        for problem in error.problems:
            name = problem.path.removeprefix("params.")
            hint = f"; {problem.hint}" if problem.hint and "-p " not in problem.hint else ""
            told.append(f"{name}: {problem.message.replace('parameter', 'field')}{hint}")
        raise Refused(422, "\n".join(told)) from None
    except InvalidValue as error:
        raise Refused(422, f"the values: {error}") from None

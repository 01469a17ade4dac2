"""Where a new execution stands in its workflow's queue: the expressions of `flow`, evaluated once, at intake."""

import logging
from collections.abc import Mapping

import msgspec

from engine.definition.flow import PRIORITIES
from engine.definition.model import Workflow
from engine.expressions import ExpressionError, Scope, compile_expression
from engine.store.executions import ExecutionRow
from engine.store.turns import Place
from engine.values import InvalidValue, Json, encode_json

__all__ = ["Unplaceable", "place", "placed"]

_log = logging.getLogger(__name__)

MAX_KEY = 1024
"""Longest key or id, in characters."""


class Unplaceable(InvalidValue):
    """An expression of `flow` gave nothing that can be used; the text says which, and why."""


def place(row: ExecutionRow, workflow: Workflow) -> str | None:
    """Set `row.place` if its workflow has a flow; the id that `dedupe` gives, None without one. Raises Unplaceable."""
    flow = workflow.flow
    if flow is None:
        return None
    if flow.key is None and flow.dedupe is None and not isinstance(flow.priority, str):
        row.place = Place(priority=flow.priority)
        return None
    values: Mapping[str, Json] = {"trigger": row.trigger_value, "params": {**workflow.bound, **row.param_values}}
    scope = Scope(values, now=row.created_at, seed=row.id)
    priority = _priority(flow.priority, scope) if isinstance(flow.priority, str) else flow.priority
    row.place = Place(key=_text("key", flow.key, scope), priority=priority)
    return _text("dedupe", flow.dedupe, scope)


def placed(row: ExecutionRow, workflow: Workflow) -> ExecutionRow:
    """The row in its place, for what the agent itself starts: schedules, failure handlers, children. There is no
    message to set aside, so one whose expressions fail stands under the empty key, with priority 0, and the log says
    so."""
    try:
        place(row, workflow)
    except Unplaceable as error:
        keyed = workflow.flow is not None and workflow.flow.key is not None
        row.place = Place(key="" if keyed else None)
        _log.error("%s: %s; %s waits under the empty key", row.workflow, error, row.id)
    return row


def _evaluated(name: str, source: str, scope: Scope) -> Json:
    try:
        return compile_expression(source).evaluate(scope)
    except ExpressionError as error:
        raise Unplaceable(f"flow.{name}: {error}") from None


def _text(name: str, source: str | None, scope: Scope) -> str | None:
    """A key or an id: text as it is, anything else as its JSON; null stands for none."""
    value = None if source is None else _evaluated(name, source, scope)
    if value is None:
        return None
    try:
        text = value if isinstance(value, str) else encode_json(value).decode()
    except (TypeError, msgspec.MsgspecError) as error:
        raise Unplaceable(f"flow.{name}: {error}") from None
    if len(text) > MAX_KEY:
        raise Unplaceable(f"flow.{name}: it has more than {MAX_KEY} characters; take a part of it, or its hash")
    return text


def _priority(source: str, scope: Scope) -> int:
    """A whole number; what is beyond the range is its end."""
    value = _evaluated("priority", source, scope)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unplaceable(f"flow.priority: expected a number, got {encode_json(value)[:60].decode(errors='replace')}")
    low, high = PRIORITIES
    return int(max(low, min(high, value)))

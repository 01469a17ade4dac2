"""What a fact says to those who wait for it: which happening it is, and the `trigger.data` that it becomes."""

from typing import Final

import msgspec

from engine.definition.model import Happening
from engine.events import Event, Kind
from engine.states import ExecutionState
from engine.store.executions import ExecutionRow
from engine.values import Json, encode_json

__all__ = ["happening_of", "trigger_data"]

_HAPPENINGS: Final = {
    Kind.WORKFLOW_STARTED: Happening.STARTED,
    Kind.WORKFLOW_COMPLETED: Happening.COMPLETED,
    Kind.WORKFLOW_FAILED: Happening.FAILED,
    Kind.WORKFLOW_CANCELLED: Happening.CANCELLED,
    Kind.WORKFLOW_PAUSED: Happening.PAUSED,
    Kind.WORKFLOW_RESUMED: Happening.RESUMED,
    Kind.WORKFLOW_BLOCKED: Happening.BLOCKED,
    Kind.NODE_COMPLETED: Happening.NODE_COMPLETED,
    Kind.NODE_FAILED: Happening.NODE_FAILED,
    Kind.NODE_RETRY: Happening.NODE_RETRY,
    Kind.NODE_SKIPPED: Happening.NODE_SKIPPED,
    Kind.NODE_WAITING: Happening.NODE_WAITING,
    Kind.NODE_IN_DOUBT: Happening.NODE_IN_DOUBT,
}


def happening_of(fact: Event) -> Happening | None:
    """What happened; None for what no trigger can ask for."""
    found = _HAPPENINGS.get(fact.kind)
    if found is Happening.COMPLETED and _said(fact).get("status") == ExecutionState.PARTIAL:
        return Happening.PARTIAL
    return found


def trigger_data(fact: Event, happening: Happening, cause: ExecutionRow | None) -> bytes:
    """`trigger.data` as JSON. `cause` is the execution that the fact is about, as far as it is still stored."""
    said = _said(fact)
    data: dict[str, Json] = {
        "event": happening, "execution": fact.execution, "workflow": fact.workflow, "version": fact.version,
        "status": said.get("status"), "outputs": said.get("outputs"), "error": said.get("error"),
    }  # fmt: skip
    if fact.node:
        data["node"] = fact.node
        data["output"] = said.get("output")
        if "kind" in said:
            data["error"] = {"kind": said["kind"], "message": said.get("message", "")}
    elif cause is not None and cause.status == said.get("status"):
        # Whole, where the fact could not carry it; unless the execution was retried and has another end since.
        if cause.outputs is not None:
            data["outputs"] = msgspec.Raw(cause.outputs)
        if cause.error is not None:
            data["error"] = msgspec.Raw(cause.error)
    if cause is not None:
        data["trigger"] = msgspec.Raw(cause.trigger)
    return encode_json(data)


def _said(fact: Event) -> dict[str, Json]:
    data: dict[str, Json] = msgspec.json.decode(fact.data) if isinstance(fact.data, msgspec.Raw) else fact.data
    return data

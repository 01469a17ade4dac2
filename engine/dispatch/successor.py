"""The execution of a workflow's `on_failure`, to be committed together with the failure that causes it."""

import msgspec

from engine.clock import format_time
from engine.dispatch.catalogue import Catalogue
from engine.execution.run import NodeError
from engine.execution.services import Services
from engine.flow.placing import placed
from engine.ids import new_execution_id
from engine.planning.plan import Plan
from engine.states import ExecutionState
from engine.store.executions import ExecutionRow
from engine.values import encode_json


class Successors:
    """Makes successors of failed executions."""

    def __init__(self, catalogue: Catalogue, services: Services) -> None:
        self._catalogue = catalogue
        self._services = services

    def of(self, plan: Plan, row: ExecutionRow, error: NodeError, node: str) -> ExecutionRow | None:
        """None if the workflow names no handler, or that can't be started (which is logged)."""
        name = plan.workflow.on_failure
        if name is None:
            return None
        target = self._catalogue.active.get(name)
        if target is None or row.hops >= self._services.config.max_hops:
            why = "is not deployed" if target is None else "would be one failure handler too many in a row"
            self._services.log("error", f"on_failure: {name} {why}", {"execution": row.id})
            return None
        now = self._services.clock.now()
        id = new_execution_id(now)
        data = {
            "execution": row.id, "workflow": row.workflow, "version": row.version, "node": node or None,
            "error": {"kind": error.kind, "message": error.message}, "trigger": msgspec.Raw(row.trigger),
        }  # fmt: skip
        trigger = {
            "kind": "failure", "subject": "", "headers": {}, "id": row.id, "time": format_time(now), "data": data,
        }  # fmt: skip
        handler = ExecutionRow(
            id=id, workflow=name, version=target.row.version, status=ExecutionState.QUEUED, root=id, cause=row.id,
            hops=row.hops + 1, trigger=encode_json(trigger), created_at=now,
        )  # fmt: skip
        return handler if target.workflow is None else placed(handler, target.workflow)

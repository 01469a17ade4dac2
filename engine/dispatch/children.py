"""Executions that nodes start: which workflow and version, with what, and whether it may be.

A child is bound to its version here; its row is created in the commit of the node that starts it, so that a crash
neither loses nor doubles it.
"""

import asyncio
from pathlib import Path

import msgspec

from engine.clock import format_time
from engine.contract import CannotStart, Child
from engine.definition import InvalidWorkflow, bind_params
from engine.definition.model import Workflow
from engine.definition.problems import suggestion
from engine.dispatch.catalogue import Catalogue, Unloadable
from engine.execution.services import Parent, Services
from engine.flow.placing import placed
from engine.ids import new_execution_id
from engine.states import ExecutionState
from engine.store.executions import ExecutionRow
from engine.values import Json, encode_json

_SUFFIXES = frozenset({".yaml", ".yml", ".json", ".toml"})


class Children:
    """Makes the rows of children."""

    def __init__(self, catalogue: Catalogue, services: Services) -> None:
        self._catalogue = catalogue
        self._services = services

    async def of(self, parent: Parent, child: Child) -> ExecutionRow:
        """The row of a new child, not stored yet. Raises CannotStart, StoreFull."""
        row = parent.row
        if row.depth >= child.max_depth:
            raise CannotStart(
                f"{row.depth} executions started each other, and max_depth is {child.max_depth}: a workflow that "
                "calls itself needs an end; or raise max_depth",
                "recursion",
            )
        if child.detached and row.hops >= self._services.config.max_hops:
            raise CannotStart(f"more than {self._services.config.max_hops} executions caused each other", "recursion")
        workflow, version = await (self._of_file(child.file) if child.file else self._named(child.workflow))
        now = self._services.clock.now()
        id = new_execution_id(now)
        new = ExecutionRow(
            id=id,
            workflow=workflow.name,
            version=version,
            status=ExecutionState.QUEUED,
            # Its own: effects are told apart by root and path, and a child has the same paths as another one.
            root=id,
            cause=row.id,
            hops=row.hops + child.detached,
            trigger=self._trigger(parent, child, now),
            params=encode_json(_params(workflow, parent, child)),
            created_at=now,
            parent="" if child.detached else row.id,
            parent_path="" if child.detached else parent.path,
            depth=row.depth + 1,
        )
        placed(new, workflow)
        if not child.detached and _is_behind(new, row, workflow):
            raise CannotStart(
                f"{workflow.name} runs one execution at a time for each flow.key, and this one has the key of the "
                "child: it would wait for itself; give the child another key, or say `wait: false`",
                "recursion",
            )
        return new

    async def _named(self, name: str) -> tuple[Workflow, int]:
        name, at, version = name.partition("@")
        active = self._catalogue.active
        if not at:
            if name not in active:
                hint = suggestion(name, active, otherwise="nothing is deployed: `ganglion deploy FILE`")
                raise CannotStart(f"no workflow named {name[:64]} is deployed ({hint})", "not_found")
            version = str(active[name].row.version)
        if not version.isdigit() or len(version) > 9:
            raise CannotStart(f"{name[:64]}@{version[:20]}: expected name@version, such as {name[:64]}@3")
        try:
            plan = await self._catalogue.plan(name, int(version))
        except Unloadable as error:
            raise CannotStart(f"{error}; `ganglion workflows` lists what is deployed", "not_found") from None
        return plan.workflow, plan.version

    async def _of_file(self, name: str) -> tuple[Workflow, int]:
        root = self._services.workflows_dir
        if root is None:
            raise CannotStart(
                f"{name}: files are looked for in the directory of workflow files; set workflows_dir under [engine]"
            )
        source, filename = await asyncio.to_thread(_read, root, name)
        try:
            plan = await self._catalogue.keep(source, filename=filename)
        except InvalidWorkflow as error:
            raise CannotStart(str(error)) from None
        return plan.workflow, plan.version

    def _trigger(self, parent: Parent, child: Child, now: int) -> bytes:
        trigger: dict[str, Json] = {
            "kind": "workflow", "subject": "", "headers": {}, "id": parent.row.id, "time": format_time(now),
            "data": None,
        }  # fmt: skip
        if "trigger" in child.inherit:
            trigger = dict(parent.row.trigger_value)
        if child.data is not msgspec.UNSET:
            trigger["data"] = child.data
        trigger.pop("vars", None)
        if "vars" in child.inherit:
            trigger["vars"] = parent.variables
        return encode_json(trigger)


def _is_behind(child: ExecutionRow, parent: ExecutionRow, workflow: Workflow) -> bool:
    """Whether a child would have its turn only when its parent has ended."""
    if child.workflow != parent.workflow or child.place is None or child.place.key is None:
        return False
    above = placed(msgspec.structs.replace(parent, place=None), workflow).place
    return above is not None and above.key == child.place.key


def _params(workflow: Workflow, parent: Parent, child: Child) -> dict[str, Json]:
    """What differs from the values that it was deployed with."""
    given = dict(child.params)
    if "params" in child.inherit:
        given = {name: value for name, value in parent.params.items() if name in workflow.params} | given
    if not given:
        return {}
    try:
        bound = bind_params(workflow.params, {**workflow.bound, **given}, file=workflow.name)
    except InvalidWorkflow as error:
        raise CannotStart(str(error)) from None
    return {name: bound[name] for name in given}


def _read(root: Path, name: str) -> tuple[bytes, str]:
    """A file under the root, wherever links lead. Raises CannotStart."""
    home = root.resolve()
    path = (home / name).resolve()
    if not path.is_relative_to(home):
        raise CannotStart(f"{name} is not inside {home}: only files there can be started", "not_allowed")
    try:
        return path.read_bytes(), str(path)
    except IsADirectoryError:
        raise CannotStart(f"{name} is a directory: name a workflow file", "not_found") from None
    except OSError as error:
        near = sorted(str(file.relative_to(home)) for file in home.rglob("*") if file.suffix in _SUFFIXES)
        hint = suggestion(name, near, otherwise=f"there is none in {home}")
        raise CannotStart(f"{name} can't be read: {error.strerror} ({hint})", "not_found") from None

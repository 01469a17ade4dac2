"""The fields of a workflow beside its parameters, triggers and nodes."""

from collections.abc import Mapping
from typing import Any

from engine.definition.fields import check_known, convert, fields_of, is_object
from engine.definition.form import CheckpointForm, DefaultsForm, WorkflowForm
from engine.definition.model import UNDEFINED, Checkpointing, Durability, RetryPolicy
from engine.definition.names import check_name, check_workflow_name
from engine.definition.problems import Path, Problems
from engine.definition.static_fields import merge_retry, read_static_fields
from engine.definition.statics import Statics
from engine.values import Json

__all__ = ["WORKFLOW_FIELDS", "read_defaults", "read_plain_fields"]

WORKFLOW_FIELDS = {field.encode_name: field for field in fields_of(WorkflowForm)}
_STATIC = (
    "on_failure", "timeout", "max_concurrent_nodes", "events", "durability", "checkpoint", "limits", "degradation",
)  # fmt: skip
_CHECKPOINTS = {
    "every_node": Checkpointing(nodes=1),
    "every_level": Checkpointing(levels=1),
    "never": Checkpointing(never=True),
}


def read_plain_fields(tree: Mapping[str, Json], statics: Statics, problems: Problems) -> dict[str, Any]:
    """The plain fields of a workflow, as Workflow has them."""
    values = read_static_fields(
        WorkflowForm, {name: tree[name] for name in _STATIC if name in tree}, (), statics, problems
    )
    if (events := values.pop("events", None)) is not None:
        values["events_outputs"] = events.outputs
    if (checkpoint := values.pop("checkpoint", None)) is not None:
        values["checkpoint"] = _checkpointing(checkpoint, values.get("durability"), problems)
    if "vars" in tree:
        values["vars"] = _variables(tree["vars"], statics, problems)
    for name in ("limits", "degradation"):
        if values.get(name, ...) is None:  # as good as not there
            del values[name]
    if values.get("timeout") == 0:
        problems.add(("timeout",), "expected more than 0s", "remove it for no limit")
    if "limits" in values and values["limits"].wall_time == 0:
        problems.add(("limits", "wall_time"), "expected more than 0s", "remove it for no limit")
    for name in ("name", "description"):
        if name in tree:
            values[name] = convert(tree[name], WORKFLOW_FIELDS[name].type, (name,), problems)
    for name in ("name", "on_failure"):
        if isinstance(values.get(name), str):
            check_workflow_name(values[name], (name,), problems)
    return values


def _checkpointing(written: str | CheckpointForm, durability: Durability | None, problems: Problems) -> Checkpointing:
    path: Path = ("checkpoint",)
    if durability is not Durability.ASYNC:
        why = "is not said" if durability is None else f"is {durability}"
        message = f"it says how often an async execution is committed, and durability {why}"
        problems.add(path, message, "write `durability: async`, or remove this")
    if isinstance(written, str):
        return _CHECKPOINTS[written]
    if (written.nodes is None) == (written.levels is None):
        problems.add(path, "expected one of nodes and levels", "write `checkpoint: {nodes: 10}`")
    return Checkpointing(nodes=written.nodes, levels=written.levels)


def _variables(tree: Json, statics: Statics, problems: Problems) -> dict[str, Json]:
    """The declared variables and their first values."""
    if not is_object(tree, ("vars",), problems):
        return {}
    values = {}
    for name, written in tree.items():
        check_name(name, ("vars", name), problems, kind="variable")
        value = statics.read(written, ("vars", name))
        if value is not UNDEFINED:
            values[name] = value
    return values


def read_defaults(tree: Mapping[str, Json], statics: Statics, problems: Problems) -> dict[str, Any]:
    """What nodes have unless they say otherwise, as Node has it."""
    path: Path = ("defaults",)
    if "defaults" not in tree or not is_object(tree["defaults"], path, problems):
        return {}
    written = tree["defaults"]
    check_known(written, [field.name for field in fields_of(DefaultsForm)], path, problems, where="default")
    values = read_static_fields(DefaultsForm, written, path, statics, problems)
    if values.get("retry") is not None:
        values["retry"] = merge_retry(RetryPolicy(), written["retry"], (*path, "retry"), statics, problems)
    for name in ("timeout", "deadline"):
        if values.get(name) == 0:
            problems.add((*path, name), "expected more than 0s", "remove it for no limit")
    return {name: value for name, value in values.items() if value is not None}

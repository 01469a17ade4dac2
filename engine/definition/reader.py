"""A tree becomes a Workflow, or every problem that the file has.

Each part is read by itself, so that one mistake does not hide the next: parameters first, since what is read at deploy
may use them; then triggers and nodes; then whether the nodes fit together.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from engine.contract import NodeTypes
from engine.definition.advice import warnings
from engine.definition.edges import check_edges
from engine.definition.fields import check_known, convert, fields_of, is_object
from engine.definition.flow_reader import read_flow
from engine.definition.form import DefaultsForm, WorkflowForm
from engine.definition.formulas import Formulas
from engine.definition.limits import MAX_NODES
from engine.definition.model import RetryPolicy, Workflow
from engine.definition.names import check_workflow_name
from engine.definition.node import Draft, NodeReader, merge_retry, read_static_fields
from engine.definition.parameters import bind_params, read_params
from engine.definition.problems import InvalidWorkflow, Path, Problems
from engine.definition.source import check_tree, definition_hash, parse_tree
from engine.definition.syntax import Refused
from engine.definition.trigger import read_triggers
from engine.values import Json

__all__ = ["load_workflow", "workflow_from_tree"]

_FIELDS = {field.encode_name: field for field in fields_of(WorkflowForm)}
_STATIC = ("on_failure", "timeout", "max_concurrent_nodes", "events")


def load_workflow(
    source: bytes,
    *,
    types: NodeTypes,
    filename: str = "workflow.yaml",
    params: Mapping[str, Json] | None = None,
    complete: bool = True,
) -> Workflow:
    """Read a workflow file; the format is told by its ending.

    `params` are the values bound at deploy. Without `complete` (`ganglion check`) required parameters may be missing;
    fields that need them are not checked. Raises InvalidWorkflow with every problem of the file.
    """
    read = parse_tree(source, filename)
    return _read(read.tree, types, filename, params or {}, complete, read.lines)


def workflow_from_tree(
    tree: Json,
    *,
    types: NodeTypes,
    filename: str = "workflow",
    params: Mapping[str, Json] | None = None,
    complete: bool = True,
) -> Workflow:
    """Read a workflow from data, such as a stored definition; `filename` stands in messages, which have no lines."""
    try:
        check_tree(tree)
    except Refused as refused:
        problems = Problems(filename)
        problems.add((), refused.message, refused.hint)
        problems.raise_any()
    return _read(tree, types, filename, params or {}, complete, {})


def _read(
    tree: Json, types: NodeTypes, filename: str, given: Mapping[str, Json], complete: bool, lines: dict[Path, int]
) -> Workflow:
    problems = Problems(filename, lines)
    if not is_object(tree, (), problems):
        problems.raise_any()
    check_known(tree, _FIELDS, (), problems, where="workflow field")
    for name in ("name", "nodes"):
        if name not in tree:
            problems.add((), f"{name} is missing", f"add `{name}: …`")

    params = read_params(tree["params"], problems) if "params" in tree else {}
    # Names of broken parameters count, so that what refers to them is not reported too.
    names = tree["params"] if isinstance(tree.get("params"), Mapping) else {}
    given = {name: value for name, value in given.items() if name in params or name not in names}
    bound: dict[str, Json] = {}
    try:
        bound = bind_params(params, given, file=filename, complete=complete)
    except InvalidWorkflow as error:
        for problem in error.problems:
            problems.add(tuple(problem.path.split(".")), problem.message, problem.hint)

    written = tree.get("nodes", {})
    if not is_object(written, ("nodes",), problems):
        written = {}
    formulas = Formulas(nodes=written, params=names, bound=bound, problems=problems)
    fields = _fields(tree, formulas, problems)
    triggers = read_triggers(tree["triggers"], formulas, problems) if "triggers" in tree else ()
    drafts = _nodes(tree, written, types, formulas, problems)
    for name in written:
        if name in names:
            problems.add(("nodes", name), f"a parameter is named {name} too", "names are unique in a file: rename one")
    check_edges(drafts, written, problems)
    if "flow" in tree:
        fields["flow"] = read_flow(tree["flow"], formulas, problems)
    if "outputs" in tree:
        fields["outputs"] = tree["outputs"]
        formulas.read(tree["outputs"], ("outputs",))
    problems.raise_any()
    workflow = Workflow(
        params=params,
        bound=bound,
        triggers=triggers,
        nodes={draft.id: draft.node for draft in drafts if draft.node is not None},
        hash=definition_hash(tree, bound),
        **fields,
    )
    return msgspec.structs.replace(workflow, warnings=warnings(workflow, formulas.used_params))


def _fields(tree: Mapping[str, Json], formulas: Formulas, problems: Problems) -> dict[str, Any]:
    """The plain fields of a workflow, as Workflow has them."""
    values = read_static_fields(
        WorkflowForm, {name: tree[name] for name in _STATIC if name in tree}, (), formulas, problems
    )
    if (events := values.pop("events", None)) is not None:
        values["events_outputs"] = events.outputs
    if values.get("timeout") == 0:
        problems.add(("timeout",), "expected more than 0s", "remove it for no limit")
    for name in ("name", "description"):
        if name in tree:
            values[name] = convert(tree[name], _FIELDS[name].type, (name,), problems)
    for name in ("name", "on_failure"):
        if isinstance(values.get(name), str):
            check_workflow_name(values[name], (name,), problems)
    return values


def _nodes(
    tree: Mapping[str, Json],
    written: Mapping[str, Json],
    types: NodeTypes,
    formulas: Formulas,
    problems: Problems,
) -> list[Draft]:
    """The nodes, as far as they are right by themselves."""
    if tree.get("nodes") == {}:
        problems.add(
            ("nodes",), "a workflow has at least one node", "add one, such as `hello: {type: log, message: hi}`"
        )
    if len(written) > MAX_NODES:
        problems.add(("nodes",), f"{len(written)} nodes are more than {MAX_NODES}", "split the workflow")
        return []
    reader = NodeReader(types=types, formulas=formulas, defaults=_defaults(tree, formulas, problems), problems=problems)
    return [reader.read(name, item, ("nodes", name)) for name, item in written.items()]


def _defaults(tree: Mapping[str, Json], formulas: Formulas, problems: Problems) -> dict[str, Any]:
    """What nodes have unless they say otherwise, as Node has it."""
    path: Path = ("defaults",)
    if "defaults" not in tree or not is_object(tree["defaults"], path, problems):
        return {}
    written = tree["defaults"]
    check_known(written, [field.name for field in fields_of(DefaultsForm)], path, problems, where="default")
    values = read_static_fields(DefaultsForm, written, path, formulas, problems)
    if values.get("retry") is not None:
        values["retry"] = merge_retry(RetryPolicy(), written["retry"], (*path, "retry"), formulas, problems)
    for name in ("timeout", "deadline"):
        if values.get(name) == 0:
            problems.add((*path, name), "expected more than 0s", "remove it for no limit")
    return {name: value for name, value in values.items() if value is not None}

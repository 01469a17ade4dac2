"""A tree becomes a Workflow, or every problem that the file has.

Each part is read by itself, so that one mistake does not hide the next: parameters first, since what is read at deploy
may use them; then triggers and nodes; then whether the nodes fit together.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from engine.contract import NodeTypes
from engine.definition.advice import warnings
from engine.definition.fields import check_known, convert, is_object
from engine.definition.form import DefaultsForm, WorkflowForm
from engine.definition.formulas import Formulas
from engine.definition.graph import Cycle, topological_levels
from engine.definition.limits import MAX_NODES
from engine.definition.model import Node, RetryPolicy, RunIf, Workflow
from engine.definition.node import NodeReader, merge_retry, read_static_fields
from engine.definition.parameters import bind_params, read_params
from engine.definition.problems import InvalidWorkflow, Path, Problems, shown, suggestion
from engine.definition.source import check_tree, definition_hash, parse_tree
from engine.definition.syntax import Refused
from engine.definition.trigger import read_triggers
from engine.values import Json

__all__ = ["load_workflow", "workflow_from_tree"]

_FIELDS = {field.encode_name: field for field in msgspec.structs.fields(WorkflowForm)}
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
    bound: dict[str, Json] = {}
    try:
        bound = bind_params(params, given, file=filename, complete=complete)
    except InvalidWorkflow as error:
        for problem in error.problems:
            problems.add(tuple(problem.path.split(".")), problem.message, problem.hint)

    written = tree.get("nodes", {})
    if not is_object(written, ("nodes",), problems):
        written = {}
    # Names of broken parameters count, so that what refers to them is not reported too.
    names = tree["params"] if isinstance(tree.get("params"), Mapping) else {}
    formulas = Formulas(nodes=written, params=names, bound=bound, problems=problems)
    fields = _fields(tree, formulas, problems)
    triggers = read_triggers(tree["triggers"], formulas, problems) if "triggers" in tree else ()
    nodes = _nodes(tree, written, types, formulas, problems)
    for name in written:
        if name in names:
            problems.add(("nodes", name), f"a parameter is named {name} too", "names are unique in a file: rename one")
    _check_graph(nodes, written, types, problems)
    if "outputs" in tree:
        fields["outputs"] = tree["outputs"]
        formulas.read(tree["outputs"], ("outputs",))
    problems.raise_any()
    workflow = Workflow(
        params=params,
        bound=bound,
        triggers=triggers,
        nodes={node.id: node for node in nodes},
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
    return values


def _nodes(
    tree: Mapping[str, Json],
    written: Mapping[str, Json],
    types: NodeTypes,
    formulas: Formulas,
    problems: Problems,
) -> list[Node]:
    """The nodes that are valid by themselves."""
    if not written and "nodes" in tree:
        problems.add(
            ("nodes",), "a workflow has at least one node", "add one, such as `hello: {type: log, message: hi}`"
        )
    if len(written) > MAX_NODES:
        problems.add(("nodes",), f"{len(written)} nodes are more than {MAX_NODES}", "split the workflow")
        return []
    reader = NodeReader(types=types, formulas=formulas, defaults=_defaults(tree, formulas, problems), problems=problems)
    nodes = [reader.read(name, item, ("nodes", name)) for name, item in written.items()]
    return [node for node in nodes if node is not None]


def _defaults(tree: Mapping[str, Json], formulas: Formulas, problems: Problems) -> dict[str, Any]:
    """What nodes have unless they say otherwise, as Node has it."""
    path: Path = ("defaults",)
    if "defaults" not in tree or not is_object(tree["defaults"], path, problems):
        return {}
    written = tree["defaults"]
    check_known(
        written, [field.name for field in msgspec.structs.fields(DefaultsForm)], path, problems, where="default"
    )
    values = read_static_fields(DefaultsForm, written, path, formulas, problems)
    if values.get("retry") is not None:
        values["retry"] = merge_retry(RetryPolicy(), written["retry"], (*path, "retry"), formulas, problems)
    for name in ("timeout", "deadline"):
        if values.get(name) == 0:
            problems.add((*path, name), "expected more than 0s", "remove it for no limit")
    return {name: value for name, value in values.items() if value is not None}


def _check_graph(nodes: list[Node], written: Mapping[str, Json], types: NodeTypes, problems: Problems) -> None:
    """Do the nodes fit together: known nodes and ports, something to wait for, no circle."""
    known = {node.id: node for node in nodes}
    for node in nodes:
        several = isinstance(written[node.id].get("needs"), list)
        for place, need in enumerate(node.needs):
            path: Path = ("nodes", node.id, "needs", place) if several else ("nodes", node.id, "needs")
            if need.node not in written:
                problems.add(path, f"there is no node {need.node[:64]}", suggestion(need.node, written))
            elif need.node == node.id:
                problems.add(path, f"{node.id} needs itself", "a node needs other nodes")
            elif need.port is not None and need.node in known:
                _check_port(known[need.node], need.port, path, types, problems)
        if node.run_if is not RunIf.SUCCESS and not node.needs and not node.references:
            problems.add(
                ("nodes", node.id, "run_if"), f"run_if: {node.run_if} asks how other nodes ended", "add `needs: …`"
            )
    edges = {node.id: (*(need.node for need in node.needs), *node.references) for node in nodes}
    result = topological_levels({id: [other for other in others if other != id] for id, others in edges.items()})
    if isinstance(result, Cycle):
        problems.add(
            ("nodes", result.path[0]),
            f"the nodes wait for each other in a circle: {result}",
            "remove one of these edges",
        )


def _check_port(node: Node, port: str, path: Path, types: NodeTypes, problems: Problems) -> None:
    type = types.get(node.type)
    if type is None:
        return
    if type.ports is None:
        problems.add(path, f"{node.id} has no ports: it is of type {type.name}", f"write `needs: {node.id}`")
        return
    ports = type.ports(node.params)
    if port not in ports:
        problems.add(path, f"{node.id} has no port {shown(port)}", suggestion(port, ports))

"""A tree becomes a Workflow, or every problem that the file has.

Each part is read by itself, so that one mistake does not hide the next: parameters first, since what is read at deploy
may use them; then where all nodes stand, since what is evaluated may refer to them; then triggers and nodes, and
whether the nodes fit together.
"""

from collections.abc import Mapping

import msgspec

from engine.contract import NodeTypes
from engine.definition.advice import warnings
from engine.definition.edges import Edges
from engine.definition.fields import check_known, is_object
from engine.definition.flow_reader import read_flow
from engine.definition.formulas import Formulas
from engine.definition.model import SET_TYPE, Workflow
from engine.definition.node import NodeReader, type_of
from engine.definition.parameters import bind_params, read_params
from engine.definition.plain import WORKFLOW_FIELDS, read_defaults, read_plain_fields
from engine.definition.problems import InvalidWorkflow, Path, Problems
from engine.definition.references import References
from engine.definition.source import Source, check_tree, definition_hash, parse_tree
from engine.definition.statics import Statics
from engine.definition.survey import Survey
from engine.definition.syntax import Refused
from engine.definition.trigger import read_triggers
from engine.values import Json

__all__ = ["load_workflow", "workflow_from_source", "workflow_from_tree"]


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
    return workflow_from_source(
        parse_tree(source, filename), types=types, filename=filename, params=params, complete=complete
    )  # fmt: skip


def workflow_from_source(
    source: Source,
    *,
    types: NodeTypes,
    filename: str,
    params: Mapping[str, Json] | None = None,
    complete: bool = True,
) -> Workflow:
    """The same for a file that was parsed already."""
    return _read(source.tree, types, filename, params or {}, complete, source.lines)


def workflow_from_tree(
    tree: Json,
    *,
    types: NodeTypes,
    filename: str = "workflow",
    params: Mapping[str, Json] | None = None,
    complete: bool = True,
    lines: dict[Path, int] | None = None,
) -> Workflow:
    """Read a workflow from data, such as a stored definition; `filename` stands in messages, which have no lines unless
    the data came from a file."""
    try:
        check_tree(tree)
    except Refused as refused:
        problems = Problems(filename)
        problems.add((), refused.message, refused.hint)
        problems.raise_any()
    return _read(tree, types, filename, params or {}, complete, lines or {})


def _read(
    tree: Json, types: NodeTypes, filename: str, given: Mapping[str, Json], complete: bool, lines: dict[Path, int]
) -> Workflow:
    problems = Problems(filename, lines)
    if not is_object(tree, (), problems):
        problems.raise_any()
    if "template" in tree:
        problems.add(("template",), "this is a template of workflows", "make one with `ganglion new --from FILE`")
        problems.raise_any()
    check_known(tree, WORKFLOW_FIELDS, (), problems, where="workflow field")
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

    statics = Statics(params=names, bound=bound, problems=problems)
    fields = read_plain_fields(tree, statics, problems)
    triggers = read_triggers(tree["triggers"], statics, problems) if "triggers" in tree else ()
    survey = Survey(
        _written_nodes(tree, problems),
        params=names,
        type_of=lambda node, path: type_of(node, path, types, statics, problems),
        problems=problems,
    )
    variables = tree["vars"] if isinstance(tree.get("vars"), Mapping) else {}
    references = References(
        survey=survey, statics=statics, params=names, variables=variables, types=types, problems=problems
    )
    formulas = Formulas(references=references, problems=problems)
    edges = Edges(survey, problems)
    defaults = read_defaults(tree, statics, problems)
    reader = NodeReader(statics=statics, formulas=formulas, edges=edges, defaults=defaults, problems=problems)
    if survey.is_too_large:
        problems.raise_any()
    drafts = reader.read_group(survey.root)
    edges.check(survey.root, drafts)
    for path, node in reader.read_nodes:
        if node.type == SET_TYPE:
            references.check_assignment(node.params["vars"], (*path, "vars"))
    if "flow" in tree:
        fields["flow"] = read_flow(tree["flow"], statics, problems)
    if "outputs" in tree:
        fields["outputs"] = tree["outputs"]
        formulas.read(tree["outputs"], ("outputs",), survey.root.view)
    problems.raise_any()
    workflow = Workflow(
        params=params,
        bound=bound,
        triggers=triggers,
        nodes={draft.site.id: draft.node for draft in drafts if draft.node is not None},
        hash=definition_hash(tree, bound),
        **fields,
    )
    return msgspec.structs.replace(
        workflow, warnings=warnings(workflow, reader.read_nodes, statics.used, tree.get("triggers"))
    )


def _written_nodes(tree: Mapping[str, Json], problems: Problems) -> Mapping[str, Json]:
    written = tree.get("nodes", {})
    if not is_object(written, ("nodes",), problems):
        return {}
    if not written and "nodes" in tree:
        hint = "add one, such as `hello: {type: log, message: hi}`"
        problems.add(("nodes",), "a workflow has at least one node", hint)
    return dict(written)

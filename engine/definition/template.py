"""Templates: workflow files with parameters of their own, which are known before there is a workflow.

A template is a workflow file with a `template:` block. `{{ template.x }}` stands for the value of a parameter: a string
that is exactly that becomes the value itself, inside a longer string its text goes in. Files are parsed first and never
rendered, so a value can't change the file's structure; that it may be an expression is meant.
"""

import re
from collections.abc import Callable, Mapping
from typing import Annotated

import msgspec

from engine.contract import NodeTypes
from engine.definition.fields import is_object, read_fields
from engine.definition.model import Param, Workflow
from engine.definition.names import check_workflow_name
from engine.definition.parameters import bind_params, read_params
from engine.definition.problems import Path, Problems, suggestion
from engine.definition.reader import workflow_from_tree
from engine.definition.source import parse_tree
from engine.values import Json, encode_json

__all__ = ["Instance", "Template", "fill", "instantiate", "missing", "read_template"]

_PLACEHOLDER = re.compile(r"\{\{-?\s*template\.([a-z][a-z0-9_]*)\s*-?\}\}")
_LEFT_OVER = re.compile(r"\{[{%][^{}]*\btemplate\b")
Says = msgspec.Meta


class TemplateForm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `template` block."""

    name: Annotated[str, Says(description="What the template is called: lower-case letters, digits and -.")]
    version: Annotated[str | int | float, Says(description="Tells one edition from another.")]
    description: Annotated[str, Says(description="What it is for, for people.")] = ""
    params: Annotated[dict[str, Json], Says(description="Its parameters, as those of a workflow.")] = {}


class Template(msgspec.Struct, frozen=True, kw_only=True):
    """A template that was read."""

    name: str
    version: str
    description: str
    params: Mapping[str, Param]
    filename: str
    text: str
    """The whole file."""
    tree: Mapping[str, Json]
    """The workflow in it, with placeholders."""
    lines: dict[Path, int]


class Instance(msgspec.Struct, frozen=True):
    """A workflow made from a template."""

    workflow: Workflow
    tree: Mapping[str, Json]
    bound: Mapping[str, Json]
    """The value of each of the template's parameters."""


def read_template(source: bytes, filename: str) -> Template:
    """Raises InvalidWorkflow with everything that is wrong with the `template` block; the rest is checked when a
    workflow is made."""
    read = parse_tree(source, filename)
    problems = Problems(filename, read.lines)
    if not is_object(read.tree, (), problems):
        problems.raise_any()
    if "template" not in read.tree:
        problems.add((), "this is no template", "add `template: {name: …, version: …, params: {…}}`")
        problems.raise_any()
    head = read.tree["template"]
    values = read_fields(TemplateForm, head, ("template",), problems)
    params: dict[str, Param] = {}
    if values is not None and isinstance(head, Mapping) and "params" in head:
        params = read_params(head["params"], problems, at=("template", "params"))
    if values is not None and "name" in values:
        check_workflow_name(values["name"], ("template", "name"), problems)
    problems.raise_any()
    form = TemplateForm(**(values or {}))
    return Template(
        name=form.name, version=str(form.version), description=form.description, params=params, filename=filename,
        text=source.decode("utf-8-sig"), lines=read.lines,
        tree={key: value for key, value in read.tree.items() if key != "template"},
    )  # fmt: skip


def missing(template: Template, given: Mapping[str, Json]) -> dict[str, Param]:
    """Required parameters that have no value yet."""
    return {name: param for name, param in template.params.items() if param.required and name not in given}


def instantiate(template: Template, given: Mapping[str, Json], *, types: NodeTypes) -> Instance:
    """The workflow with these values, checked whole. Raises InvalidWorkflow, with the template's lines."""
    bound = bind_params(template.params, given, file=template.filename)
    problems = Problems(template.filename, template.lines)

    def refused(path: Path, message: str, hint: str) -> None:
        problems.add(path, message, hint)

    tree = fill(template.tree, bound, refused)
    problems.raise_any()
    workflow = workflow_from_tree(
        tree, types=types, filename=template.filename, complete=False, lines=template.lines
    )  # fmt: skip
    return Instance(workflow, tree, bound)


def fill(value: Json, bound: Mapping[str, Json], refuse: Callable[[Path, str, str], None], path: Path = ()) -> Json:
    """A tree with values in place of placeholders; `refuse` is told of what can't be filled."""
    if isinstance(value, Mapping):
        for key in value:
            if _PLACEHOLDER.search(key):
                refuse((*path, key), "keys are never filled", "write the key out")
        return {key: fill(item, bound, refuse, (*path, key)) for key, item in value.items()}
    if isinstance(value, list):
        return [fill(item, bound, refuse, (*path, place)) for place, item in enumerate(value)]
    if not isinstance(value, str) or "template" not in value:
        return value
    for name in _PLACEHOLDER.findall(value):
        if name not in bound:
            refuse(path, f"there is no parameter {name[:64]}", suggestion(name, bound, otherwise="declare it"))
            return value
    if _LEFT_OVER.search(_PLACEHOLDER.sub("", value)):
        refuse(path, "a template's parameter stands alone in its braces", "write {{ template.x }}, without filters")
        return value
    whole = _PLACEHOLDER.fullmatch(value)
    if whole is not None:
        return bound[whole[1]]
    return _PLACEHOLDER.sub(lambda found: _text(bound[found[1]]), value)


def _text(value: Json) -> str:
    return value if isinstance(value, str) else encode_json(value).decode()

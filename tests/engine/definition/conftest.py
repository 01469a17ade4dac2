"""A workflow from a few lines, and what is wrong with it, against the node types that an agent has."""

from collections.abc import Callable
from typing import Any

import pytest

from engine.definition import InvalidWorkflow, Workflow, load_workflow
from engine.execution.control import control_types
from plugins.llm.nodes import llm_types
from plugins.nodes import builtin_types
from plugins.registry import Registry

Load = Callable[..., Workflow]
Complain = Callable[..., list[str]]


@pytest.fixture(scope="session")
def types() -> Registry:
    types = (*control_types(), *builtin_types(), *llm_types(None))
    return Registry(types, disabled={"shell": "shell is off: set engine.allow_shell"})


@pytest.fixture
def load(types: Registry) -> Load:
    def load(text: str, filename: str = "w.yaml", **options: Any) -> Workflow:
        return load_workflow(text.encode(), types=types, filename=filename, **options)

    return load


@pytest.fixture
def complain(load: Load) -> Complain:
    """The problems of a file, as people see them; none is a failure of the test."""

    def complain(text: str, **options: Any) -> list[str]:
        with pytest.raises(InvalidWorkflow) as caught:
            load(text, **options)
        return [str(problem) for problem in caught.value.problems]

    return complain


@pytest.fixture
def node_problem(complain: Complain) -> Callable[[str], str]:
    """The one problem of a workflow with the nodes `before: {type: log}`, `way: {type: if}` and this one, `x`."""

    def node_problem(node: str) -> str:
        text = (
            "name: w\nparams: {p: {type: number, default: 1}}\nnodes:\n"
            "  before: {type: log, message: '{{ params.p }}'}\n"
            "  way: {type: if, condition: params.p > 0}\n"
            f"  x: {node}\n"
        )
        (problem,) = complain(text)
        return problem.removeprefix("w.yaml:6: nodes.x")

    return node_problem

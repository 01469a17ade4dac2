"""`limits` and `degradation` of a file."""

from collections.abc import Callable

import pytest
from jsonschema import Draft202012Validator

from engine.definition import json_schema, parse_tree
from engine.definition.budget import Degradation, Dependents, NodeLimits, WorkflowLimits
from plugins.registry import Registry

NODE = "nodes: {a: {type: log, message: x}}"


def test_limits_of_a_workflow_are_read_with_their_units(load: Callable) -> None:
    text = (
        "name: w\nlimits: {wall_time: 1h30m, nodes: 1000, output_bytes: 10MB, memory_growth: 64MiB, llm_tokens: 5000,"
        " api_calls: 0}\n"
    )
    assert load(text + NODE).limits == WorkflowLimits(
        wall_time=5400.0, nodes=1000, output_bytes=10_000_000, memory_growth=64 * 2**20, llm_tokens=5000, api_calls=0
    )


def test_limits_of_a_node_may_use_params(load: Callable) -> None:
    text = (
        "name: w\nparams: {calls: {type: integer, default: 7}}\nnodes:\n"
        "  a: {type: log, message: x, limits: {api_calls: '{{ params.calls }}', wall_time: 5s}}"
    )
    assert load(text).nodes["a"].limits == NodeLimits(api_calls=7, wall_time=5.0)


def test_without_them_there_are_none(load: Callable) -> None:
    workflow = load(f"name: w\nlimits: null\ndegradation: null\n{NODE}")
    assert workflow.limits is None
    assert workflow.degradation == Degradation(dependents=Dependents.RUN, max_failures=None)
    assert workflow.nodes["a"].limits is None


def test_degradation_is_read(load: Callable) -> None:
    workflow = load(f"name: w\ndegradation: {{dependents: skip, max_failures: 3}}\n{NODE}")
    assert workflow.degradation == Degradation(dependents=Dependents.SKIP, max_failures=3)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("limits: {tokens: 5}", "limits.tokens: there is no field tokens (did you mean llm_tokens?)"),
        ("limits: {nodes: -1}", "limits.nodes: expected a whole number >= 0 <= 1000000000000000, got -1"),
        (
            "limits: {output_bytes: 10 apples}",
            'limits.output_bytes: expected a size such as 64KiB or 10MB, got "10 app',
        ),
        ("limits: {wall_time: fast}", 'limits.wall_time: expected a duration such as 30s, got "fast"'),
        ("limits: {wall_time: 0s}", "limits.wall_time: expected more than 0s (remove it for no limit)"),
        ("degradation: {dependents: drop}", 'degradation.dependents: expected one of run, skip, fail, got "drop"'),
    ],
)
def test_what_is_wrong_is_told_with_its_place(complain: Callable, line: str, problem: str) -> None:
    (told,) = complain(f"name: w\n{line}\n{NODE}")
    assert told.removeprefix("w.yaml:2: ").startswith(problem)


@pytest.mark.parametrize(
    ("limits", "problem"),
    [
        ("{nodes: 5}", ".limits.nodes: there is no field nodes ("),
        ("{wall_time: 0}", ".limits.wall_time: expected more than 0s (remove it for no limit)"),
        ("{api_calls: '{{ trigger.data }}'}", ".limits.api_calls: trigger is not known when this is read"),
    ],
)
def test_what_is_wrong_with_a_nodes_limits_is_told(node_problem: Callable, limits: str, problem: str) -> None:
    assert node_problem(f"{{type: log, message: x, limits: {limits}}}").startswith(problem)


@pytest.mark.parametrize(
    ("line", "fits"),
    [
        (
            "limits: {wall_time: 5m, nodes: 5, output_bytes: 10MB, memory_growth: 1.5GiB, llm_tokens: 1, api_calls: 1}",
            1,
        ),
        ("limits: {output_bytes: 1024}", 1),
        ("limits: {output_bytes: '{{ params.x }}'}", 1),
        ("limits: {output_bytes: 10 apples}", 0),
        ("limits: {calls: 1}", 0),
        ("degradation: {dependents: skip, max_failures: 2}", 1),
        ("degradation: {dependents: drop}", 0),
    ],
)
def test_editors_know_them(types: Registry, line: str, fits: int) -> None:
    validator = Draft202012Validator(json_schema(types))
    assert validator.is_valid(parse_tree(f"name: w\n{line}\n{NODE}".encode(), "w.yaml").tree) is bool(fits)

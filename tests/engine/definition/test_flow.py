"""The flow of a file: what it becomes, and every mistake with its remedy."""

import pytest

from engine.definition import InvalidWorkflow, load_workflow
from engine.definition.flow import Debounce, Flow, QueueLimit, Rate, WhenFull

NODES = "\nnodes: {a: {type: log, message: hi}}\n"


def read(types, flow: str, **params):
    text = f"name: w\nparams: {{n: {{type: integer, default: 2}}}}\nflow: {flow}{NODES}"
    return load_workflow(text.encode(), types=types, params=params)


def test_a_flow_is_read_with_its_parameters(types):
    flow = read(
        types,
        '{concurrency: "{{ params.n }}", key: trigger.data.device, rate: {max: 10, per: 1m}, '
        "debounce: {for: 5s, max: 1m}, priority: params.n, dedupe: trigger.data.id, "
        "queue: {max: 10, low: 5, when_full: drop_oldest}}",
        n=7,
    ).flow
    assert flow == Flow(
        concurrency=7,
        key="trigger.data.device",
        rate=Rate(max=10, per=60.0),
        debounce=Debounce(quiet=5.0, max=60.0),
        priority="params.n",
        dedupe="trigger.data.id",
        queue=QueueLimit(max=10, low=5, when_full=WhenFull.DROP_OLDEST),
    )


def test_a_duration_alone_is_a_debounce_without_a_maximum(types):
    assert read(types, "{debounce: 500ms}").flow == Flow(debounce=Debounce(quiet=0.5))


def test_a_file_without_a_flow_has_none(types):
    assert load_workflow(f"name: w{NODES}".encode(), types=types).flow is None


def test_the_low_mark_is_four_fifths_unless_it_is_said():
    assert (QueueLimit(max=1000).reopens_at, QueueLimit(max=10, low=0).reopens_at) == (800, 0)


@pytest.mark.parametrize(
    ("flow", "problem"),
    [
        ("5", "flow: expected an object, got 5"),
        ("{concurency: 1}", "flow.concurency: there is no flow field concurency (did you mean concurrency?)"),
        ("{concurrency: 0}", "flow.concurrency: expected a whole number >= 1"),
        ("{concurrency: '{{ trigger.data.n }}'}", "flow.concurrency: trigger is not known when this is read"),
        ("{key: nodes.a.x}", "flow.key: nodes is not known when a message is taken in (trigger and params are)"),
        ("{key: '{{ trigger.data.x }}'}", "flow.key: this field is an expression already (remove the braces {{ }})"),
        ("{key: trigger.body}", "flow.key: there is no trigger.body"),
        ("{key: params.m}", "flow.key: there is no parameter m"),
        ("{key: 5}", "flow.key: expected text, got 5"),
        ("{rate: {max: 10}}", "flow.rate: per is missing"),
        ("{rate: {max: 0, per: 1s}}", "flow.rate.max: expected a whole number >= 1"),
        ("{rate: {max: 1, per: 0s}}", "flow.rate.per: expected more than 0s"),
        ("{debounce: fast}", 'flow.debounce: expected a duration such as 30s, got "fast"'),
        ("{debounce: 0s}", "flow.debounce: expected more than 0s"),
        ("{debounce: {for: 5s, max: 1s}}", "flow.debounce.max: max is less than for"),
        ("{debounce: {quiet: 5s, for: 1s}}", "flow.debounce.quiet: there is no field quiet"),
        ("{priority: 11}", "flow.priority: expected a whole number from -10 to 10, got 11"),
        ("{priority: true}", "flow.priority: expected a whole number or text, got true"),
        ("{queue: {max: 10, low: 10}}", "flow.queue.low: low is not below max, which is 10"),
        ("{queue: {when_full: drop}}", "flow.queue.when_full: expected one of block, drop_oldest, drop_newest"),
    ],
)
def test_a_mistake_is_told_with_its_place(types, flow, problem):
    with pytest.raises(InvalidWorkflow) as refused:
        read(types, flow)
    [told] = refused.value.problems
    assert problem in str(told)

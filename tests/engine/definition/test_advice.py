"""What is valid, but perhaps not meant so."""

from collections.abc import Callable

import pytest

from engine.definition import Workflow

Load = Callable[..., Workflow]

LOG = "{type: log, message: x}"


def warned(load: Load, nodes: str, head: str = "") -> tuple[str, ...]:
    return load(f"name: w\n{head}\nnodes:\n  a: {LOG}\n{nodes}").warnings


@pytest.mark.parametrize(
    "subject", ["log.a", "log.{{ trigger.data.x }}", "{{ trigger.data.x }}.a", "log.a-{{ trigger.id }}"]
)
def test_a_workflow_that_feeds_itself_is_warned_of(load: Load, subject: str) -> None:
    head = 'triggers: [{nats: {subject: "log.*"}}]'
    (warning,) = warned(load, f'  p: {{type: publish, subject: "{subject}"}}', head)
    assert warning.startswith("nodes.p: it may publish to log.*, which starts this workflow again")


def test_its_own_trigger_subject_feeds_it_too(load: Load) -> None:
    (warning,) = warned(load, "  p: {type: publish, subject: ganglion.trigger.default.any.w}")
    assert "starts this workflow again" in warning


@pytest.mark.parametrize("subject", ["log.a.b", "other.a", "{{ trigger.data.x }}", "other.{{ trigger.data.x }}"])
def test_a_workflow_that_publishes_elsewhere_is_not(load: Load, subject: str) -> None:
    head = 'triggers: [{nats: {subject: "log.*"}}]'
    assert warned(load, f'  p: {{type: publish, subject: "{subject}"}}', head) == ()


def test_capture_core_is_outside_the_promise(load: Load) -> None:
    (warning,) = warned(load, "", "triggers: [{nats: {subject: ask.me, capture: core}}]")
    assert warning.startswith(
        "triggers[0].nats: with capture: core a message published while the agent is away is lost"
    )


def test_retrying_what_must_happen_once_is_warned_of(load: Load) -> None:
    (warning,) = warned(load, "  b: {type: log, message: x, effect: at_most_once, retry: {max: 2}}")
    assert warning.startswith("nodes.b: it is at_most_once, yet retry runs it up to 3 times")


def test_an_unused_parameter_is_warned_of(load: Load) -> None:
    head = "params: {p: {type: any}, q: {type: any, default: 5s}}\ntimeout: '{{ params.q }}'"
    (warning,) = warned(load, "", head)
    assert warning.startswith("params.p: nothing uses it")


def test_all_parameters_together_are_used(load: Load) -> None:
    assert warned(load, "  b: {type: transform, data: '{{ params }}'}", "params: {p: {type: any}}") == ()


def test_two_ports_of_one_node_are_never_both_taken(load: Load) -> None:
    nodes = "  way: {type: if, condition: 'true'}\n  b: {type: log, message: x, needs: [way.then, way.else]}"
    (warning,) = warned(load, nodes)
    assert warning.startswith("nodes.b: it needs two ports of one node")
    assert warned(load, nodes.replace("way.else]", "way.else], join: any")) == ()


def test_a_workflow_that_handles_its_own_failures_is_warned_of(load: Load) -> None:
    (warning,) = warned(load, "", "on_failure: w")
    assert warning.startswith("on_failure: the workflow handles its own failures")


def test_a_workflow_that_starts_on_its_own_events_is_warned_of(load: Load) -> None:
    (warning,) = warned(load, "", "triggers: [{workflow: {name: w, on: failed}}]")
    assert warning.startswith("triggers[0].workflow: the workflow starts on its own events")
    assert warned(load, "", "triggers: [{workflow: {name: v}}]") == ()


@pytest.mark.parametrize("path", ["in/*.csv", "**/*.LOG", "a.txt"])
def test_a_file_that_is_read_as_json_against_its_name_is_warned_of(load: Load, path: str) -> None:
    head = f'triggers: [{{cron: {{schedule: "0 * * * *"}}}}, {{file: {{path: "{path}"}}}}]'
    (warning,) = warned(load, "", head)
    assert warning == (
        f"triggers[1].file: {path} is read as JSON, and a file that is none becomes a dead letter; write "
        "`format: text`, or `format: json` if that is what it holds"
    )


@pytest.mark.parametrize(
    "file", ['path: "*.csv", format: text', 'path: "*.log", format: json', 'path: "*.json"', 'path: "*"']
)
def test_a_file_that_is_read_as_was_said_is_not(load: Load, file: str) -> None:
    assert warned(load, "", f"triggers: [{{file: {{{file}}}}}]") == ()

# ruff: noqa: E501 - a message stands beside what causes it
"""A file becomes a Workflow; what is wrong with it is said with line, path and remedy."""

from collections.abc import Callable

import pytest

from engine.contract import Effect
from engine.definition import Workflow, canonical, parse_tree, workflow_from_tree
from engine.definition.form import NOT_IMPLEMENTED
from engine.definition.model import (
    UNDEFINED,
    Backoff,
    BodyFormat,
    Capture,
    CronTrigger,
    Join,
    Misfire,
    NatsTrigger,
    Need,
    OnError,
    RetryPolicy,
    RunIf,
)
from engine.values import decode_json
from plugins.registry import Registry

Load = Callable[..., Workflow]
Complain = Callable[..., list[str]]

FULL = """\
name: cold-chain
description: All that a file can say.
params:
  limit: {type: number, default: 8}
  wait: {type: string, default: 90s}
triggers:
  - nats: {subject: "sensors.*.temperature", format: cloudevent}
  - nats: {subject: ask.>, capture: core}
  - nats: {subject: "other.{{ params.limit }}", stream: OTHER}
  - cron: {schedule: "*/15 * * * *", timezone: Europe/Berlin, misfire: skip, data: {n: 1}}
defaults: {timeout: 30s, retry: {max: 2, delay: 2s}, on_error: continue}
on_failure: tell-operator
timeout: 1h
max_concurrent_nodes: 3
events: {outputs: true}
nodes:
  reading: {type: transform, data: {c: "{{ trigger.data.celsius }}"}, retry: {max: 5, backoff: constant}}
  bad: {type: if, condition: nodes.reading.c > params.limit, on_error: fail}
  alert:
    type: http
    needs: bad.then
    url: "{{ secrets.PAGER }}/{{ nodes.reading.c }}"
    timeout: "{{ params.wait }}"
    deadline: 5m
    effect: at_most_once
    when: trigger.data.celsius < 99 and nodes.bad
    default: {body: "{{ nodes.reading }}"}
    critical: false
  after:
    type: log
    needs: [alert, bad.else]
    join: any
    run_if: always
    message: "{{ errors.alert.kind | default('fine') }}"
outputs: {c: "{{ nodes.reading.c }}"}
"""


def test_a_full_file_becomes_a_workflow(load: Load) -> None:
    workflow = load(FULL)
    assert (workflow.name, workflow.on_failure, workflow.timeout) == ("cold-chain", "tell-operator", 3600)
    assert (workflow.max_concurrent_nodes, workflow.events_outputs) == (3, True)
    assert workflow.bound == {"limit": 8, "wait": "90s"}
    assert workflow.outputs == {"c": "{{ nodes.reading.c }}"}
    assert workflow.triggers == (
        NatsTrigger(subject="sensors.*.temperature", format=BodyFormat.CLOUDEVENT),
        NatsTrigger(subject="ask.>", capture=Capture.CORE),
        NatsTrigger(subject="other.8", stream="OTHER"),
        CronTrigger(schedule="*/15 * * * *", timezone="Europe/Berlin", misfire=Misfire.SKIP, data={"n": 1}),
    )
    reading, bad, alert, after = workflow.nodes.values()
    assert reading.retry == RetryPolicy(max=5, delay=2, backoff=Backoff.CONSTANT)
    assert (reading.effect, reading.references, reading.timeout) == (Effect.PURE, (), 30)
    assert (reading.on_error, bad.on_error) == (OnError.CONTINUE, OnError.FAIL)
    assert bad.references == ("reading",)
    assert alert.needs == (Need("bad", "then"),)
    assert alert.references == ("bad", "reading")
    assert (alert.timeout, alert.deadline, alert.effect, alert.critical) == (90, 300, Effect.AT_MOST_ONCE, False)
    assert alert.when == "trigger.data.celsius < 99 and nodes.bad"
    assert alert.default == {"body": "{{ nodes.reading }}"}
    assert alert.params == {"url": "{{ secrets.PAGER }}/{{ nodes.reading.c }}"}
    assert after.needs == (Need("alert"), Need("bad", "else"))
    assert (after.join, after.run_if, after.references) == (Join.ANY, RunIf.ALWAYS, ("alert",))
    assert after.default is UNDEFINED


def test_a_minimal_file_has_defaults(load: Load) -> None:
    workflow = load("name: w\nnodes: {a: {type: log, message: hi}}")
    node = workflow.nodes["a"]
    assert (workflow.triggers, workflow.params, workflow.outputs, workflow.warnings) == ((), {}, UNDEFINED, ())
    assert (node.timeout, node.retry, node.when, node.needs) == (None, RetryPolicy(), None, ())


def test_json_and_toml_give_the_same_workflow(load: Load) -> None:
    yaml = load("name: w\nnodes: {a: {type: log, message: hi}, b: {type: log, needs: a, message: x}}")
    json = load(
        '{"name":"w","nodes":{"a":{"type":"log","message":"hi"},"b":{"type":"log","needs":"a","message":"x"}}}',
        "w.json",
    )
    toml = load(
        'name="w"\n[nodes.a]\ntype="log"\nmessage="hi"\n[nodes.b]\ntype="log"\nneeds="a"\nmessage="x"', "w.toml"
    )
    assert yaml == json == toml


def test_a_stored_definition_gives_the_same_workflow(load: Load, types: Registry) -> None:
    workflow = load(FULL, params={"limit": 4})
    stored = canonical(parse_tree(FULL.encode(), "w.yaml").tree)
    assert workflow_from_tree(decode_json(stored), types=types, params=workflow.bound) == workflow


def test_the_hash_depends_on_content_and_parameters_alone(load: Load) -> None:
    text = "name: w\nparams: {p: {type: number, default: 1}}\nnodes: {a: {type: log, message: '{{ params.p }}'}}"
    same = "# a comment\n\n" + text.replace(": ", ":   ")
    assert load(text).hash == load(same).hash == load(text, params={"p": 1}).hash
    assert len({load(text).hash, load(text, params={"p": 2}).hash, load(text.replace("log", "fail")).hash}) == 3


def test_every_problem_of_a_file_is_reported_with_its_line(complain: Complain) -> None:
    text = """\
name: Cold Chain
descripton: x
params: {limit: {type: nubmer}}
triggers:
  - nats: {subject: a..b}
defaults: {timeout: fast}
nodes:
  triage:
    type: transfrom
    data: "{{ nodes.bda.x }}"
  bad: {type: if, condition: nodes.triage.x >}
  alert:
    type: log
    needs: [triag, bad]
    message: "{{ parms.limit }}"
    timeout: fast
outputs: {x: "{{ trigger.date }}"}
"""
    assert complain(text) == [
        'w.yaml:1: name: the name of a workflow is up to 64 lower-case letters, digits and -, got "Cold Chain" (call it cold-chain)',
        "w.yaml:2: descripton: there is no workflow field descripton (did you mean description?)",
        'w.yaml:3: params.limit.type: expected one of any, boolean, integer, list, number, object, string, got "nubmer"',
        "w.yaml:5: triggers[0].nats.subject: the subject 'a..b' has an empty token: no dot first, last, or beside another",
        'w.yaml:6: defaults.timeout: expected a duration such as 30s, got "fast"',
        "w.yaml:9: nodes.triage.type: there is no node type transfrom (did you mean transform?)",
        "w.yaml:10: nodes.triage.data: there is no node bda (did you mean bad?)",
        'w.yaml:11: nodes.bad.condition: expected a value, found nothing (character 17 of "nodes.triage.x >")',
        "w.yaml:14: nodes.alert.needs[0]: there is no node triag (did you mean triage?)",
        "w.yaml:15: nodes.alert.message: there is no parms in scope (did you mean params?)",
        'w.yaml:16: nodes.alert.timeout: expected a duration such as 30s, got "fast"',
        "w.yaml:17: outputs.x: there is no trigger.date (did you mean data?)",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("5", "w.yaml:1: expected an object, got 5"),
        ("nodes: {a: {type: log, message: x}}", "w.yaml:1: name is missing"),
        ("name: w", "w.yaml:1: nodes is missing"),
        ("name: w\nnodes: {}", "w.yaml:2: nodes: a workflow has at least one node"),
        ("name: w\nnodes: []", "w.yaml:2: nodes: expected an object, got a list"),
        ("name: w\nnodes: {a: 5}", "w.yaml:2: nodes.a: expected an object, got 5"),
        ("name: 5\nnodes: {a: {type: log, message: x}}", "w.yaml:1: name: expected text, got 5"),
        ("name: w\ntimeout: 0s\nnodes: {a: {type: log, message: x}}", "w.yaml:2: timeout: expected more than 0s"),
        ("name: w\ntimeout: '{{ now() }}'\nnodes: {a: {type: log, message: x}}", "w.yaml:2: timeout: this is read once"),
        ("name: w\nmax_concurrent_nodes: 0\nnodes: {a: {type: log, message: x}}", "w.yaml:2: max_concurrent_nodes: expected a whole number >= 1"),
        ("name: w\nevents: {output: true}\nnodes: {a: {type: log, message: x}}", "w.yaml:2: events.output: there is no field output (did you mean outputs?)"),
        ("name: w\non_failure: Tell\nnodes: {a: {type: log, message: x}}", "w.yaml:2: on_failure: the name of a workflow is"),
        ("name: w\nparams: {a: {type: any}}\nnodes: {a: {type: log, message: '{{ params.a }}'}}", "w.yaml:3: nodes.a: a parameter is named a too"),
        ("name: w\ndefaults: {retries: 3}\nnodes: {a: {type: log, message: x}}", "w.yaml:2: defaults.retries: there is no default retries (did you mean retry?)"),
        ("name: w\nnodes:\n  a: {type: log, needs: b, message: x}\n  b: {type: log, message: '{{ nodes.a }}'}", "w.yaml:3: nodes.a: the nodes wait for each other in a circle: a -> b -> a (remove one of these edges)"),
        ("name: w\nnodes: {a: {type: log, message: x}}\noutputs: '{{ secrets.X }}'", "w.yaml:3: outputs: a secret must not go here"),
        ("name: w\nnodes: {a: {type: log, message: x}}\noutputs: {'{{ 1 }}': 2}", "keys are never evaluated"),
    ],
)  # fmt: skip
def test_a_wrong_workflow_is_refused(complain: Complain, text: str, said: str) -> None:
    (problem,) = complain(text)
    assert said in problem


@pytest.mark.parametrize(
    ("node", "said"),
    [
        ("{message: x}", ": type is missing (add `type: …`, one of"),
        ("{type: 5}", ".type: expected the name of a node type, got 5"),
        ("{type: shell, argv: [ls]}", ".type: shell is off: set engine.allow_shell"),
        ("{type: log}", ": message is missing (add `message: …`, text)"),
        ("{type: log, mesage: x, message: y}", ".mesage: a node of type log has no field mesage (did you mean message?)"),
        ("{type: log, message: x, neds: before}", ".neds: a node of type log has no field neds (did you mean needs?)"),
        ("{type: log, message: [x]}", ".message: expected text, got a list"),
        ("{type: log, message: x, level: loud}", ".level: expected one of debug, error, info, warning"),
        ("{type: log, message: x, level: \"{{ 'lo' ~ 'ud' }}\"}", '.level: expected one of debug, error, info, warning, got "loud" from '),
        ("{type: http, url: x, max_bytes: '{{ 0 - 1 }}'}", ".max_bytes: expected a whole number >= 0"),
        ("{type: http, url: x, ok_status: [200, y]}", '.ok_status[1]: expected a whole number, got "y"'),
        ("{type: http, url: x, max_bytes: -1}", ".max_bytes: expected a whole number >= 0"),
        ("{type: sleep}", ": a node of type sleep takes exactly one of `duration` and `until`"),
        ("{type: log, message: x, needs: 5}", ".needs: expected text or a list, got 5"),
        ("{type: log, message: x, needs: [before, 5]}", ".needs[1]: expected text, got 5"),
        ("{type: log, message: x, needs: befor}", ".needs: there is no node befor (did you mean before?)"),
        ("{type: log, message: x, needs: x}", ".needs: x needs itself"),
        ("{type: log, message: x, needs: [before, before]}", ".needs[1]: before is there twice"),
        ("{type: log, message: x, needs: way.thn}", '.needs: way has no port "thn" (did you mean then?)'),
        ("{type: log, message: x, needs: way.}", '.needs: expected a node, or node.port, got "way."'),
        ("{type: log, message: x, needs: before.then}", ".needs: before has no ports: it is of type log"),
        ("{type: log, message: x, join: one}", '.join: expected one of all, any, got "one"'),
        ("{type: log, message: x, run_if: failed}", ".run_if: run_if: failed asks how other nodes ended (add `needs: …`)"),
        ("{type: log, message: x, when: params.p >}", ".when: expected a value, found nothing"),
        ("{type: log, message: x, when: '{{ params.p }}'}", ".when: this field is an expression already"),
        ("{type: log, message: x, when: 5}", ".when: expected text or true or false, got 5"),
        ("{type: log, message: x, timeout: 0}", ".timeout: expected more than 0s"),
        ("{type: log, message: x, timeout: '{{ nodes.before }}'}", ".timeout: nodes is not known when this is read"),
        ("{type: log, message: x, timeout: '{{ params.q }}'}", ".timeout: there is no parameter q"),
        ("{type: log, message: x, retry: 3}", ".retry: expected an object, got 3"),
        ("{type: log, message: x, retry: {max: -1}}", ".retry.max: expected a whole number >= 0"),
        ("{type: log, message: x, retry: {times: 1}}", ".retry.times: there is no field times"),
        ("{type: log, message: x, retry: {delay: 9s, max_delay: 1s}}", ".retry.max_delay: max_delay is less than delay"),
        ("{type: log, message: x, effect: pure}", ".effect: a node of type log is never pure"),
        ("{type: log, message: x, on_error: fail, default: 1}", ".on_error: default replaces a failed output"),
        ("{type: log, message: '{{ nodes.x }}'}", ".message: x refers to itself"),
        ("{type: log, message: '{{ nodes.befor.a }}'}", ".message: there is no node befor (did you mean before?)"),
        ("{type: log, message: '{{ errors.befor.kind }}'}", ".message: there is no node befor (did you mean before?)"),
        ("{type: log, message: '{{ errors }}'}", ".message: errors needs the name of a node"),
        ("{type: log, message: '{{ nodes }}'}", ".message: nodes needs a name"),
        ("{type: log, message: '{{ before.a }}'}", ".message: there is no before in scope (did you mean nodes.before?)"),
        ("{type: log, message: '{{ p }}'}", ".message: there is no p in scope (did you mean params.p?)"),
        ("{type: log, message: '{{ data.x }}'}", ".message: there is no data in scope (did you mean trigger.data?)"),
        ("{type: log, message: '{{ item.x }}'}", ".message: item is not known here (it is known inside nodes of type "),
        ("{type: log, message: '{{ vars.x }}'}", ".message: there is no variable x (declare it under vars:)"),
        ("{type: log, message: '{{ execution.idd }}'}", ".message: there is no execution.idd (did you mean id?)"),
        ("{type: log, message: '{{ secrets.X }}'}", ".message: a secret must not go here"),
        ("{type: log, message: x, data: {a: [1, '{{ ]']}}", ".data.a[1]: "),
        ("{type: log, message: '{{ $befor.a }}'}", ".message: there is no node befor (did you mean before?)"),
        ("{type: switch, value: 1, cases: '{{ nodes.before }}'}", ".cases: nodes is not known when this is read"),
        ("{type: embed, prompt: x}", ".type: the node type embed is not implemented by this version"),
        ("{type: log, message: x, placement: {}}", ".placement: the node field placement is not implemented by this version"),
    ],
)  # fmt: skip
def test_a_wrong_node_is_refused(node_problem: Callable[[str], str], node: str, said: str) -> None:
    assert node_problem(node).startswith(said)


@pytest.mark.parametrize("field", sorted(NOT_IMPLEMENTED["workflow field"]))
def test_a_workflow_field_of_a_later_version_is_named(complain: Complain, field: str) -> None:
    (problem,) = complain(f"name: w\n{field}: x\nnodes: {{a: {{type: log, message: x}}}}")
    assert problem == f"w.yaml:2: {field}: the workflow field {field} is not implemented by this version (remove it)"


@pytest.mark.parametrize("field", sorted(NOT_IMPLEMENTED["node field"]))
def test_a_node_field_of_a_later_version_is_named(node_problem: Callable[[str], str], field: str) -> None:
    said = node_problem(f"{{type: log, message: x, {field}: x}}")
    assert said == f".{field}: the node field {field} is not implemented by this version (remove it)"


@pytest.mark.parametrize("type", sorted(NOT_IMPLEMENTED["node type"]))
def test_a_node_type_of_a_later_version_is_named(node_problem: Callable[[str], str], type: str) -> None:
    said = node_problem(f"{{type: {type}, items: x, nodes: {{a: {{type: log}}}}}}")
    assert said == f".type: the node type {type} is not implemented by this version (remove the node)"


def test_a_branching_node_itself_may_be_needed(load: Load) -> None:
    text = "name: w\nnodes:\n  way: {type: if, condition: 'true'}\n  a: {type: log, needs: way, message: x}"
    assert load(text).nodes["a"].needs == (Need("way"),)


def test_ports_may_come_from_parameters(load: Load, complain: Complain) -> None:
    text = (
        "name: w\nparams: {c: {type: object, default: {red: 1}}}\nnodes:\n"
        "  way: {type: switch, value: trigger.data, cases: '{{ params.c }}'}\n"
        "  a: {type: log, needs: way.red, message: x}"
    )
    assert load(text).nodes["way"].params["cases"] == {"red": 1}
    (problem,) = complain(text, params={"c": {"blue": 2}})
    assert problem == 'w.yaml:5: nodes.a.needs: way has no port "red" (known: blue, default)'


def test_a_number_may_stand_for_text(load: Load) -> None:
    assert load("name: w\nnodes: {a: {type: log, message: 5}}").nodes["a"].params == {"message": 5}


def test_secrets_may_stand_in_nested_parts_of_a_field_made_for_them(load: Load) -> None:
    load(
        "name: w\nnodes: {a: {type: http, url: x, headers: {Token: 'a {{ secrets.T }}'}, auth: {bearer: '{{ secrets.B }}'}}}"
    )


def test_a_constant_condition_is_kept(load: Load) -> None:
    text = "name: w\nnodes:\n  a: {type: log, message: x, when: false}\n  b: {type: log, message: x, when: true}"
    assert [node.when for node in load(text).nodes.values()] == ["false", None]


def test_a_long_delay_raises_the_longest_delay(load: Load) -> None:
    text = "name: w\nnodes: {a: {type: log, message: x, retry: {max: 1, delay: 5m}}}"
    assert load(text).nodes["a"].retry == RetryPolicy(max=1, delay=300, max_delay=300)


def test_a_hundred_problems_are_enough(complain: Complain) -> None:
    problems = complain("name: w\nnodes:\n" + "".join(f"  n{number}: {{type: logg}}\n" for number in range(150)))
    assert len(problems) == 101
    assert problems[-1] == "w.yaml: and 50 more problems"


def test_a_chain_of_ten_thousand_nodes_is_read(types: Registry) -> None:
    nodes = {"n0": {"type": "transform", "data": 1}}
    nodes |= {f"n{n}": {"type": "transform", "data": f"{{{{ nodes.n{n - 1} }}}}"} for n in range(1, 10_000)}
    workflow = workflow_from_tree({"name": "long", "nodes": nodes}, types=types)
    assert workflow.nodes["n9999"].references == ("n9998",)

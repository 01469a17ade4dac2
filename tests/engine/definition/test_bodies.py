# ruff: noqa: E501 - a message stands beside what causes it
"""Nodes inside nodes: what they see, what they may need, and what they are edges of."""

from collections.abc import Callable
from contextlib import suppress
from typing import Annotated

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from engine.contract import Body, Condition, Done, Effect, Inner, NodeType
from engine.definition import InvalidWorkflow, Workflow, json_schema, load_workflow, parse_tree, workflow_from_tree
from engine.definition.model import Checkpointing, Durability, Need, Node, RetryPolicy
from engine.execution.control import control_types
from engine.reference import describe
from engine.values import Json
from plugins.nodes import builtin_types
from plugins.registry import Registry

Load = Callable[..., Workflow]
Complain = Callable[..., list[str]]


def said(description: str) -> msgspec.Meta:
    return msgspec.Meta(description=description)


class Form(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    nodes: Annotated[dict[str, Json], said("What is done.")]
    as_: Annotated[str, said("The error's name.")] = msgspec.field(name="as", default="error")
    output: Annotated[Json, said("What it gives.")] = None


class PagesForm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    nodes: Annotated[dict[str, Json], said("What fetches a page.")]
    items: Annotated[str, said("Its items.")]
    next: Annotated[str, said("The next page's cursor.")]


class EachParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    items: Annotated[Condition, said("What to go through.")] = None
    as_: Annotated[str, said("What an item is called.")] = msgspec.field(name="as", default="item")
    concurrency: Annotated[int, said("How many at once.")] = 1
    nodes: Annotated[dict[str, Json], Inner, said("What is done with each.")] = {}
    output: Annotated[Json, Inner, said("What each gives.")] = None
    pages: Annotated[PagesForm | None, Inner, said("Items that come in pages.")] = None


class AgainParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    condition: Annotated[Condition, Inner, said("Asked before each time.")] = None
    nodes: Annotated[dict[str, Json], Inner, said("What is done.")] = {}
    output: Annotated[Json, Inner, said("What it gives.")] = None
    until: Annotated[Condition, Inner, said("Asked after each time.")] = None


class GuardParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    nodes: Annotated[dict[str, Json], Inner, said("What may fail.")] = {}
    output: Annotated[Json, Inner, said("What it gives.")] = None
    catch: Annotated[Form | None, Inner, said("When it failed.")] = None
    finally_: Annotated[Form | None, Inner, said("In any case.")] = msgspec.field(name="finally", default=None)


async def run(ctx: object, params: object) -> Done:
    return Done()


def of_type(name: str, params: type[msgspec.Struct], **bodies: Body) -> NodeType:
    return NodeType(
        name=name, description="x", params=params, run=run, effect=Effect.AT_LEAST_ONCE, bodies=bodies, example="x"
    )


OUTPUT = {"output": ("output",)}
EACH = of_type(
    "each",
    EachParams,
    nodes=Body(names=lambda f: ("index", str(f.get("as", "item"))), after=OUTPUT),
    pages=Body(
        at=("pages", "nodes"),
        names=lambda f: ("cursor", "page"),
        asks={"items": ("pages", "items"), "next": ("pages", "next")},
    ),
)
AGAIN = of_type(
    "again",
    AgainParams,
    nodes=Body(before=("condition",), names=lambda f: ("index", "last"), after=OUTPUT, asks={"until": ("until",)}),
)
GUARD = of_type(
    "guard",
    GuardParams,
    nodes=Body(after=OUTPUT),
    catch=Body(
        at=("catch", "nodes"),
        names=lambda f: (str(f["catch"].get("as", "error")),),
        after={"output": ("catch", "output")},
        sees=("nodes",),
    ),
    **{"finally": Body(at=("finally", "nodes"), sees=("nodes", "catch"), shielded=True)},
)
TYPES = Registry((*control_types(), *builtin_types(), EACH, AGAIN, GUARD))


@pytest.fixture(scope="session")
def types() -> Registry:
    return TYPES


FULL = """\
name: nested
vars: {tries: 0}
defaults: {timeout: 5s, retry: {max: 3}, critical: false}
nodes:
  list: {type: transform, data: [1]}
  other: {type: transform, data: 2}
  scan:
    type: each
    items: nodes.list
    as: row
    nodes:
      fetch: {type: transform, data: "{{ row }} {{ index }}"}
      poll:
        type: again
        condition: vars.tries < 5 and index < 3 and nodes.fetch
        needs: fetch
        nodes:
          ask: {type: transform, data: "{{ nodes.fetch }} {{ nodes.other }} {{ row }} {{ last | default(0) }}"}
        until: nodes.ask > 5
        output: "{{ nodes.ask }}"
    output: {got: "{{ nodes.poll }}", of: "{{ nodes.list }}"}
  safe:
    type: guard
    nodes:
      risky: {type: transform, data: "{{ nodes.scan }}"}
    output: "{{ nodes.risky }}"
    catch:
      as: problem
      nodes:
        notify: {type: log, message: "{{ problem.message }} {{ errors.risky.kind }}"}
      output: "{{ nodes.notify | default(nodes.risky) }}"
    finally:
      nodes: {clean: {type: log, message: "{{ nodes.risky | default(nodes.notify) }}"}}
outputs: "{{ nodes.safe }}"
"""


def test_bodies_become_part_of_the_node(load: Load) -> None:
    workflow = load(FULL)
    assert workflow.vars == {"tries": 0}
    scan, safe = workflow.nodes["scan"], workflow.nodes["safe"]
    assert list(scan.bodies) == ["nodes"]
    body = scan.bodies["nodes"]
    assert list(body.nodes) == ["fetch", "poll"]
    assert (body.before, body.asks) == (None, {})
    assert body.after == {"output": {"got": "{{ nodes.poll }}", "of": "{{ nodes.list }}"}}
    inner = body.nodes["poll"].bodies["nodes"]
    assert inner.before == "vars.tries < 5 and index < 3 and nodes.fetch"
    assert (inner.asks, inner.after) == ({"until": "nodes.ask > 5"}, {"output": "{{ nodes.ask }}"})
    assert list(safe.bodies) == ["nodes", "catch", "finally"]
    assert safe.bodies["finally"].after == {}


def test_what_is_inside_makes_edges_of_what_holds_it(load: Load) -> None:
    workflow = load(FULL)
    scan, safe = workflow.nodes["scan"], workflow.nodes["safe"]
    poll = scan.bodies["nodes"].nodes["poll"]
    assert poll.bodies["nodes"].outward == ("fetch", "other")
    assert (poll.references, poll.needs) == (("fetch",), (Need("fetch"),))
    assert scan.bodies["nodes"].outward == ("other", "list")
    assert scan.references == ("list", "other")
    assert [safe.bodies[name].outward for name in ("nodes", "catch", "finally")] == [
        ("scan",),
        ("risky",),
        ("risky", "notify"),
    ]
    assert safe.references == ("scan",)


def test_defaults_for_attempts_are_for_the_nodes_inside(load: Load) -> None:
    scan = load(FULL).nodes["scan"]
    assert (scan.timeout, scan.retry, scan.critical) == (None, RetryPolicy(), False)
    fetch = scan.bodies["nodes"].nodes["fetch"]
    assert (fetch.timeout, fetch.retry.max, fetch.critical) == (5, 3, False)


def test_items_may_come_in_pages(load: Load) -> None:
    text = """\
name: w
nodes:
  scan:
    type: each
    pages:
      nodes: {get: {type: transform, data: "{{ cursor }} {{ page }}"}}
      items: nodes.get.rows
      next: nodes.get.next
    nodes: {do: {type: log, message: "{{ item }}"}}
"""
    pages = load(text).nodes["scan"].bodies["pages"]
    assert pages.asks == {"items": "nodes.get.rows", "next": "nodes.get.next"}


def test_conditions_may_be_constant(load: Load) -> None:
    text = "name: w\nnodes: {a: {type: again, condition: true, until: false, nodes: {b: {type: log, message: x}}}}"
    body = load(text).nodes["a"].bodies["nodes"]
    assert (body.before, body.asks) == ("true", {"until": "false"})


HEAD = "name: w\nparams: {p: {type: number, default: 1}}\nnodes:\n  before: {type: log, message: '{{ params.p }}'}\n"


@pytest.fixture
def problem(complain: Complain) -> Callable[[str], str]:
    """The one problem of the nodes after `before`."""

    def problem(nodes: str) -> str:
        (found,) = complain(HEAD + nodes)
        return found

    return problem


ONE = "nodes: {a: {type: log, message: x}}"


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        ("{type: each, items: [1]}", ": nodes is missing (add `nodes: …`, an object of nodes)"),
        ("{type: each, items: [1], nodes: {}}", ".nodes: there are no nodes (add one, such as `hello: {type: log, message: hi}`)"),
        ("{type: each, items: [1], nodes: null}", ".nodes: expected an object, got null"),
        ("{type: each, items: [1], nodes: 5}", ".nodes: expected an object, got 5"),
        ("{type: each, items: [1], nodes: {a: 5}}", ".nodes.a: expected an object, got 5"),
        ("{type: each, items: [1], nodes: {a: {type: logg}}}", ".nodes.a.type: there is no node type logg (did you mean log?)"),
        ("{type: each, items: [1], nodes: {a: {type: log}}}", ".nodes.a: message is missing"),
        ("{type: each, items: [1], nodes: {A: {type: log, message: x}}}", ".nodes.A: the name of a node is lower-case"),
        ("{type: each, items: [1], nodes: {item: {type: log, message: x}}}", ".nodes.item: item means something else in expressions"),
        ("{type: each, items: [1], nodes: {before: {type: log, message: x}}}", ".nodes.before: a node is named before already: nodes.before (names are unique in a file: rename one)"),
        ("{type: each, items: [1], nodes: {p: {type: log, message: x}}}", ".nodes.p: a parameter is named p too"),
        (f"{{type: each, items: [1], as: a, {ONE}}}", ".as: a node is named a too"),
        (f"{{type: each, items: [1], as: p, {ONE}}}", ".as: a parameter is named p too"),
        (f"{{type: each, items: [1], as: item, {ONE}}}", ".as: item means something in expressions already (remove it, or call it something like row)"),
        (f"{{type: each, items: [1], as: params, {ONE}}}", ".as: params means something else in expressions"),
        (f"{{type: each, items: [1], as: in, {ONE}}}", ".as: in is a word of expressions"),
        (f"{{type: each, items: [1], as: '{{{{ params.p }}}}', {ONE}}}", ".as: the name of a value is lower-case"),
        (f"{{type: each, items: [1], as: 5, {ONE}}}", ".as: expected text, got 5"),
        (f"{{type: each, items: nodes.a, {ONE}}}", ".items: there is no node a here: it is inside nodes.x (outside sees only nodes.x, its output)"),
        (f"{{type: each, items: nodes.x, {ONE}}}", ".items: x refers to itself"),
        (f"{{type: each, items: item, {ONE}}}", ".items: item is not known here (it is known inside nodes.x)"),
        (f"{{type: each, items: [1], itms: 1, {ONE}}}", ".itms: a node of type each has no field itms (did you mean items?)"),
        (f"{{type: each, items: [1], retry: {{max: 1}}, {ONE}}}", ".retry: a node of type each has no retry: each node inside has its own (put it on a node inside)"),
        (f"{{type: each, items: [1], effect: pure, {ONE}}}", ".effect: a node of type each has no effect"),
        (f"{{type: each, items: [1], cache: {{ttl: 1h}}, {ONE}}}", ".cache: a node of type each has no cache"),
        ("{type: each, items: [1], nodes: {a: {type: log, needs: before, message: x}}}", ".nodes.a.needs: before is not beside it but outside: nodes.before (write `needs: before` in nodes.x, or refer to nodes.before)"),
        ("{type: each, items: [1], nodes: {a: {type: log, needs: x, message: x}}}", ".nodes.a.needs: x is not beside it but outside: nodes.x"),
        ("{type: each, items: [1], nodes: {a: {type: log, needs: [nope], message: x}}}", ".nodes.a.needs[0]: there is no node nope"),
        ("{type: each, items: [1], nodes: {a: {type: log, message: '{{ nodes.x }}'}}}", ".nodes.a.message: x holds this, and has not ended (what is inside sees the nodes beside it)"),
        ("{type: each, items: [1], nodes: {a: {type: log, message: '{{ nodes.befor }}'}}}", ".nodes.a.message: there is no node befor (did you mean before?)"),
        ("{type: each, items: [1], as: row, nodes: {a: {type: log, message: '{{ item }}'}}}", ".nodes.a.message: item is not known here (known here: index, row)"),
        ("{type: each, items: [1], as: row, nodes: {a: {type: log, message: '{{ rwo.x }}'}}}", ".nodes.a.message: there is no rwo in scope (did you mean row?)"),
        ("{type: each, items: [1], nodes: {a: {type: log, message: '{{ vars.n }}'}}}", ".nodes.a.message: there is no variable n (declare it under vars:)"),
        ("{type: each, items: [1], nodes: {a: {type: log, needs: b, message: x}, b: {type: log, needs: a, message: x}}}", ".nodes.a: the nodes wait for each other in a circle: a -> b -> a"),
        (f"{{type: each, items: [1], {ONE}, output: '{{{{ nodes.b }}}}'}}", ".output: there is no node b"),
        (f"{{type: each, items: [1], {ONE}, output: '{{{{ secrets.B }}}}'}}", ".output: a secret must not go here"),
        (f"{{type: each, items: [1], {ONE}, output: '{{{{ nodes.a'}}", ".output: "),
        (f"{{type: again, {ONE}}}", ": condition is missing (add `condition: …`, an expression without braces)"),
        (f"{{type: again, condition: 5, {ONE}}}", ".condition: expected an expression without braces, got 5"),
        (f"{{type: again, condition: '{{{{ true }}}}', {ONE}}}", ".condition: this field is an expression already"),
        (f"{{type: again, condition: nodes.a, {ONE}}}", ".condition: a has not run when this is asked (`last` is what the time before gave)"),
        (f"{{type: again, condition: true, until: [nodes.a], {ONE}}}", ".until: expected an expression without braces, got a list"),
        (f"{{type: again, condition: true, until: nodes.a >, {ONE}}}", ".until: expected a value, found nothing"),
        (f"{{type: guard, {ONE}, catch: {{}}}}", ".catch: nodes is missing"),
        (f"{{type: guard, {ONE}, catch: 5}}", ".catch: expected an object, got 5"),
        (f"{{type: guard, {ONE}, catch: {{nods: {{}}, nodes: {{b: {{type: log, message: x}}}}}}}}", ".catch.nods: there is no field nods (did you mean nodes?)"),
        (f"{{type: guard, {ONE}, catch: {{nodes: {{b: {{type: log}}}}}}}}", ".catch.nodes.b: message is missing"),
        (f"{{type: guard, {ONE}, catch: {{as: a, nodes: {{b: {{type: log, message: x}}}}}}}}", ".catch.as: a node is named a too"),
        (f"{{type: guard, {ONE}, catch: {{as: index, nodes: {{b: {{type: log, message: x}}}}}}}}", ".catch.as: index means something in expressions already"),
        (f"{{type: guard, {ONE}, finally: {{nodes: {{b: {{type: log, message: '{{{{ error }}}}'}}}}}}}}", ".finally.nodes.b.message: error is not known here (it is known inside nodes of type guard"),
        ("{type: guard, nodes: {a: {type: log, message: '{{ nodes.b }}'}}, catch: {nodes: {b: {type: log, message: x}}}}", ".nodes.a.message: b has not run when this is asked (it sees what comes before)"),
        (f"{{type: guard, {ONE}, catch: {{nodes: {{b: {{type: log, needs: a, message: x}}}}}}}}", ".catch.nodes.b.needs: a is not beside it but outside: nodes.x.nodes.a"),
    ],
)  # fmt: skip
def test_a_wrong_body_is_refused(problem: Callable[[str], str], node: str, expected: str) -> None:
    assert problem(f"  x: {node}\n").startswith(f"w.yaml:5: nodes.x{expected}")


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        (f"  x: {{type: each, items: [1], {ONE}}}\n  y: {{type: log, needs: a, message: x}}", "w.yaml:6: nodes.y.needs: a is not beside it but inside nodes.x (write `needs: x`)"),
        (f"  x: {{type: each, items: [1], {ONE}}}\n  y: {{type: log, message: '{{{{ nodes.a }}}}'}}", "w.yaml:6: nodes.y.message: there is no node a here: it is inside nodes.x (outside sees only nodes.x, its output)"),
        (f"  x: {{type: each, items: [1], {ONE}}}\n  y: {{type: each, items: [1], nodes: {{b: {{type: log, needs: a, message: x}}}}}}", "w.yaml:6: nodes.y.nodes.b.needs: a is not beside it but inside nodes.x (only nodes that stand together"),
        (f"  x: {{type: each, items: [1], as: row, {ONE}}}\n  y: {{type: each, items: [1], as: row, nodes: {{b: {{type: log, message: x}}}}}}", "w.yaml:6: nodes.y.as: nodes.x.as is row already (names are unique in a file: rename one)"),
        (f"  x: {{type: each, items: nodes.y, {ONE}}}\n  y: {{type: each, items: [1], nodes: {{b: {{type: log, message: '{{{{ nodes.x }}}}'}}}}}}", "w.yaml:5: nodes.x: the nodes wait for each other in a circle: x -> y -> x"),
    ],
)  # fmt: skip
def test_what_is_inside_stays_inside(problem: Callable[[str], str], nodes: str, expected: str) -> None:
    assert problem(nodes).startswith(expected)


def test_problems_inside_have_their_own_line(complain: Complain) -> None:
    text = FULL.replace("{{ row }} {{ index }}", "{{ rwo }}").replace("as: problem", "az: problem")
    assert complain(text) == [
        "w.yaml:12: nodes.scan.nodes.fetch.data: there is no rwo in scope (did you mean row?)",
        "w.yaml:28: nodes.safe.catch.az: there is no field az (known: as, nodes, output)",
        "w.yaml:30: nodes.safe.catch.nodes.notify.message: there is no problem in scope (known: agent, error, errors, execution, nodes, params, secrets, trigger, vars)",
    ]


def test_unknown_types_that_hold_nodes_are_one_problem(problem: Callable[[str], str]) -> None:
    said = problem("  x: {type: ech, items: [1], nodes: {a: {type: log}}, output: '{{ nodes.a }}'}")
    assert said == "w.yaml:5: nodes.x.type: there is no node type ech (did you mean each?)"


def nested(levels: int) -> dict[str, Json]:
    node: dict[str, Json] = {"type": "log", "message": "x"}
    for level in range(levels):
        node = {"type": "each", "items": [1], "nodes": {f"n{level}": node}}
    return {"name": "w", "nodes": {"top": node}}


def test_nodes_go_eight_levels_deep_and_no_deeper() -> None:
    node = workflow_from_tree(nested(8), types=TYPES).nodes["top"]
    for _ in range(8):
        (node,) = node.bodies["nodes"].nodes.values()
    assert node.type == "log"
    with pytest.raises(InvalidWorkflow, match="nodes inside nodes go deeper than 8 levels"):
        workflow_from_tree(nested(9), types=TYPES)


def test_nodes_inside_count_for_the_limit() -> None:
    bodies = {
        f"e{number}": {"type": "each", "items": [1], "nodes": {f"n{number}": {"type": "log", "message": "x"}}}
        for number in range(10_001)
    }
    with pytest.raises(InvalidWorkflow) as caught:
        workflow_from_tree({"name": "w", "nodes": bodies}, types=TYPES)
    assert str(caught.value) == "workflow: nodes: more than 20000 nodes (split the workflow)"


def test_warnings_are_about_nodes_inside_too(load: Load) -> None:
    text = "name: w\nnodes: {x: {type: each, items: [1], nodes: {p: {type: publish, subject: ganglion.trigger.default.any.w}}}}"
    (warning,) = load(text).warnings
    assert warning.startswith("nodes.x.nodes.p: it may publish to")


def test_ports_inside_a_body_are_taken_inside_it(load: Load) -> None:
    text = "name: w\nnodes: {x: {type: each, items: [1], nodes: {way: {type: if, condition: item > 1}, a: {type: log, needs: way.then, message: x}}}}"
    assert load(text).nodes["x"].bodies["nodes"].nodes["a"].needs == (Need("way", "then"),)


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        (FULL, True),
        ("name: w\nnodes: {x: {type: each, items: [1], nodes: {a: {type: log, message: x}}}}", True),
        ("name: w\nnodes: {x: {type: each, items: [1]}}", False),
        ("name: w\nnodes: {x: {type: each, items: [1], nodes: {}}}", False),
        ("name: w\nnodes: {x: {type: each, items: [1], nodes: {a: {type: log}}}}", False),
        ("name: w\nnodes: {x: {type: each, items: [1], retry: {max: 1}, nodes: {a: {type: log, message: x}}}}", False),
        ("name: w\nnodes: {x: {type: guard, nodes: {a: {type: log, message: x}}, catch: {nodes: {b: {type: log}}}}}", False),
        ("name: w\nnodes: {x: {type: guard, nodes: {a: {type: log, message: x}}, catch: {nods: {b: {type: log}}}}}", False),
        ("name: w\nvars: {A: 1}\nnodes: {a: {type: log, message: x}}", False),
    ],
)  # fmt: skip
def test_the_schema_reaches_into_bodies(text: str, fits: bool) -> None:
    schema = json_schema(TYPES)
    Draft202012Validator.check_schema(schema)
    assert Draft202012Validator(schema).is_valid(parse_tree(text.encode(), "w.yaml").tree) is fits


def test_the_reference_shows_what_belongs_to_a_body() -> None:
    rows = {row.name: (row.type, row.required) for row in describe(GUARD).params}
    assert rows == {
        "nodes": ("object of nodes", True),
        "output": ("any", False),
        "catch": ("object", False),
        "catch.nodes": ("object of nodes", True),
        "catch.as": ("string", False),
        "catch.output": ("any", False),
        "finally": ("object", False),
        "finally.nodes": ("object of nodes", True),
        "finally.as": ("string", False),
        "finally.output": ("any", False),
    }
    assert {row.name: (row.type, row.required) for row in describe(AGAIN).params} == {
        "condition": ("expression", True),
        "nodes": ("object of nodes", True),
        "output": ("any", False),
        "until": ("expression", False),
    }


WORDS = st.sampled_from(["a", "b", "c", "d", "row", "item", "p", "x", "in"])
TEXTS = st.sampled_from(
    ["{{ nodes.a }}", "{{ nodes.b.x }}", "{{ item }}", "{{ row.x }}", "{{ error }}", "nodes.a", "nodes.c > 1", "last",
     "true", "{{", "{{ vars.v }}", "{{ secrets.X }}", "errors.a", "5", "{{ params.p }}", "{{ nodes }}", "nodes[item]"]
)  # fmt: skip
PLAIN = st.none() | st.booleans() | st.integers() | TEXTS | WORDS
LEAF = st.fixed_dictionaries(
    {"type": st.sampled_from(["log", "transform", "if", "lgo", "each"])},
    optional={"message": PLAIN, "data": PLAIN, "condition": PLAIN, "needs": WORDS | st.lists(WORDS, max_size=2)},
)


def holding(inner: st.SearchStrategy[Json]) -> st.SearchStrategy[Json]:
    nodes = st.dictionaries(WORDS, inner, max_size=3) | PLAIN
    form = st.fixed_dictionaries(
        {}, optional={"nodes": nodes, "as": PLAIN, "output": PLAIN, "items": PLAIN, "next": PLAIN}
    )
    return st.fixed_dictionaries(
        {"type": st.sampled_from(["each", "again", "guard", "foreach", "while", "repeat", "try", "set"])},
        optional={
            "nodes": nodes, "as": PLAIN | st.lists(WORDS, max_size=1), "items": PLAIN, "output": PLAIN,
            "condition": PLAIN, "until": PLAIN, "catch": form | PLAIN, "finally": form | PLAIN, "pages": form | PLAIN,
            "needs": WORDS, "retry": PLAIN, "when": PLAIN, "default": PLAIN, "times": PLAIN,
            "vars": st.dictionaries(WORDS, PLAIN, max_size=2) | PLAIN,
        },
    )  # fmt: skip


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(WORDS, st.recursive(LEAF, holding, max_leaves=12), min_size=1, max_size=4))
def test_any_nesting_is_a_workflow_or_a_list_of_problems(nodes: dict[str, Json]) -> None:
    with suppress(InvalidWorkflow):
        tree = {"name": "w", "vars": {"v": 1}, "params": {"p": {"type": "any"}}, "nodes": nodes}
        workflow = workflow_from_tree(tree, types=TYPES)
        check_outward(workflow.nodes, frozenset())


def check_outward(nodes: dict[str, Node], around: frozenset[str]) -> None:
    """A node's references stand beside it, a body's outside of it."""
    for node in nodes.values():
        assert set(node.references) <= set(nodes) - {node.id}
        seen = around | set(nodes) - {node.id}
        for body in node.bodies.values():
            assert set(body.outward) & set(nodes) <= set(node.references)
            assert not set(body.outward) & set(body.nodes)
            assert set(body.outward) <= seen
            check_outward(body.nodes, seen)
            seen |= set(body.nodes)


def test_a_flat_file_of_ten_thousand_nodes_and_a_nested_one_are_read() -> None:
    inner = {f"n{n}": {"type": "transform", "data": f"{{{{ nodes.n{n - 1} }}}}" if n else 1} for n in range(9_000)}
    tree = {"name": "w", "nodes": {"top": {"type": "each", "items": [1], "nodes": inner}}}
    body = workflow_from_tree(tree, types=TYPES).nodes["top"].bodies["nodes"]
    assert body.nodes["n8999"].references == ("n8998",)


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ("vars: 5", "vars: expected an object, got 5"),
        ("vars: {A: 1}", "vars.A: the name of a variable is lower-case"),
        ("vars: {a: '{{ nodes.n }}'}", "vars.a: nodes is not known when this is read"),
        ("durability: never", 'durability: expected one of sync, async, exit, got "never"'),
        ("checkpoint: every_node", "checkpoint: it says how often an async execution is committed, and durability is not said"),
        ("durability: exit\ncheckpoint: every_node", "checkpoint: it says how often an async execution is committed, and durability is exit"),
        ("durability: async\ncheckpoint: sometimes", "checkpoint: expected "),
        ("durability: async\ncheckpoint: {nodes: 0}", "checkpoint.nodes: expected a whole number >= 1"),
        ("durability: async\ncheckpoint: {nodes: 1, levels: 1}", "checkpoint: expected one of nodes and levels"),
        ("durability: async\ncheckpoint: {}", "checkpoint: expected one of nodes and levels"),
    ],
)  # fmt: skip
def test_a_wrong_field_of_a_workflow_is_refused(complain: Complain, head: str, expected: str) -> None:
    (problem,) = complain(f"name: w\n{head}\nnodes: {{n: {{type: log, message: x}}}}")
    assert expected in problem


def test_durability_and_variables_are_read(load: Load) -> None:
    nodes = "nodes: {n: {type: log, message: '{{ vars.a }}'}}"
    workflow = load_workflow(
        f"name: w\nparams: {{p: {{type: any}}}}\nvars: {{a: '{{{{ params.p }}}}'}}\n{nodes}".encode(),
        types=TYPES,
        params={"p": 7},
    )
    assert (workflow.vars, workflow.durability) == ({"a": 7}, Durability.SYNC)
    said = {
        "every_node": {"nodes": 1},
        "every_level": {"levels": 1},
        "never": {"never": True},
        "{nodes: 9}": {"nodes": 9},
    }
    for checkpoint, meant in said.items():
        workflow = load(f"name: w\nvars: {{a: 1}}\ndurability: async\ncheckpoint: {checkpoint}\n{nodes}")
        assert (workflow.durability, workflow.checkpoint) == (Durability.ASYNC, Checkpointing(**meant))


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        ("{type: set, vars: {b: 1}}", "nodes.n.vars.b: there is no variable b (known: a)"),
        ("{type: set, vars: '{{ trigger.data }}'}", "nodes.n.vars: which variables these are must be known at deploy (write `vars: {name: value}`)"),
        ("{type: set, vars: {a: '{{ vars.b }}'}}", "nodes.n.vars.a: there is no variable b (known: a)"),
        ("{type: set}", "nodes.n: vars is missing"),
    ],
)  # fmt: skip
def test_only_declared_variables_are_assigned(complain: Complain, node: str, expected: str) -> None:
    (problem,) = complain(f"name: w\nvars: {{a: 0}}\nnodes:\n  n: {node}")
    assert problem.removeprefix("w.yaml:4: ").startswith(expected)

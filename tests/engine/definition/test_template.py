"""Templates: values in place of placeholders, and a file that reads as if a person had written it."""

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.definition import InvalidWorkflow, parse_tree
from engine.definition.template import Instance, fill, instantiate, missing, read_template
from engine.definition.yaml_writer import write_filled, write_plain
from engine.values import Json
from plugins.registry import Registry

HEAD = """\
template:
  name: t
  version: 1.2
  description: A template.
  params:
    name: {type: string, required: true}
    limit: {type: number, default: 8}
    tags: {type: list, default: [a, b]}
"""
BODY = """
# What it is called.
name: "{{ template.name }}"
params:
  limit: {type: number, default: "{{ template.limit }}"}   # bound at deploy
nodes:
  # Says it.
  a:
    type: log
    message: "{{ template.limit }} for {{ trigger.data.x }} of {{ template.name }}, {{ template.tags }}"
    data: "{{ template.tags }}"
  b: {type: if, condition: "{{ params.limit if false else 1 }} > 0"}
"""


def problems(text: str, values: Mapping[str, Json], types: Registry) -> list[str]:
    with pytest.raises(InvalidWorkflow) as caught:
        instantiate(read_template(text.encode(), "t.yaml"), values, types=types)
    return [str(problem) for problem in caught.value.problems]


def made(text: str, types: Registry, **values: Json) -> tuple[Instance, str]:
    template = read_template(text.encode(), "t.yaml")
    instance = instantiate(template, values, types=types)
    return instance, write_filled(text, instance.tree, lambda value: fill(value, instance.bound, lambda *_: None))


def test_values_take_the_place_of_placeholders(types: Registry) -> None:
    text = HEAD + BODY.replace("  b: ", "  # b: ")
    instance, written = made(text, types, name="w", limit=2.5)
    assert instance.workflow.name == "w"
    assert instance.workflow.params["limit"].default == 2.5
    node = instance.tree["nodes"]["a"]
    assert node["message"] == '2.5 for {{ trigger.data.x }} of w, ["a","b"]'
    assert node["data"] == ["a", "b"]
    assert written.startswith('# What it is called.\nname: "w"\n')
    for comment in ("# What it is called.", "# bound at deploy", "# Says it."):
        assert comment in written


def test_a_template_is_no_workflow(load) -> None:
    with pytest.raises(InvalidWorkflow, match=r"w.yaml:1: template: this is a template of workflows \(make one with"):
        load(HEAD + "name: w\nnodes: {a: {type: log, message: x}}")


def test_what_is_required_is_told(types: Registry) -> None:
    template = read_template((HEAD + BODY).encode(), "t.yaml")
    assert (template.name, template.version) == ("t", "1.2")
    assert list(missing(template, {})) == ["name"]
    assert missing(template, {"name": "w"}) == {}
    assert problems(HEAD + BODY, {}, types) == [
        "t.yaml: params.name: a value is required (give it with -p name=…, text)"
    ]


def test_all_problems_are_told_with_the_templates_lines(types: Registry) -> None:
    found = problems(
        HEAD + "name: '{{ template.name }}'\nnodes:\n  a: {type: log, message: x, level: '{{ template.limit }}'}\n"
        "  b: {type: lgo}\n",
        {"name": "w", "limit": 3},
        types,
    )
    assert [line.split(": ")[0] for line in found] == ["t.yaml:11", "t.yaml:12"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{type: log, message: '{{ template.limitt }}'}", "there is no parameter limitt (did you mean limit?)"),
        ("{type: log, message: '{{ template.limit + 1 }}'}", "a template's parameter stands alone in its braces"),
        ("{type: log, message: '{% if template.limit %}x{% endif %}'}", "a template's parameter stands alone"),
        ("{type: log, message: x, data: {'{{ template.name }}': 1}}", "keys are never filled"),
    ],
)
def test_what_cannot_be_filled_is_told(types: Registry, line: str, said: str) -> None:
    (problem,) = problems(f"{HEAD}name: w\nnodes:\n  a: {line}\n", {"name": "w"}, types)
    assert problem.startswith("t.yaml:11: nodes.a")
    assert said in problem


@pytest.mark.parametrize(
    ("head", "said"),
    [
        ("template: 5", "t.yaml:1: template: expected an object, got 5"),
        ("template: {name: t}", "version is missing"),
        ("template: {name: T T, version: 1}", "template.name: the name of a workflow is"),
        ("template: {name: t, version: 1, parms: {}}", "there is no field parms (did you mean params?)"),
        ("template: {name: t, version: 1, params: {a: {type: nubmer}}}", "template.params.a.type: expected one of"),
        ("name: w", "this is no template"),
    ],
)
def test_a_wrong_head_is_told(head: str, said: str) -> None:
    with pytest.raises(InvalidWorkflow) as caught:
        read_template(f"{head}\nnodes: {{}}\n".encode(), "t.yaml")
    assert said in str(caught.value)


def test_a_value_cannot_change_the_structure(types: Registry) -> None:
    evil = 'x"\nnodes:\n  evil: {type: shell, command: [rm]}\n# '
    instance, written = made(f"{HEAD}name: w\nnodes: {{a: {{type: log, message: '{{{{ template.name }}}}'}}}}\n", types,
                             name=evil)  # fmt: skip
    assert list(instance.tree["nodes"]) == ["a"]
    assert parse_tree(written.encode(), "w.yaml").tree == instance.tree
    assert instance.tree["nodes"]["a"]["message"] == evil


texts = st.text(max_size=20).filter(lambda text: not any("\ud800" <= one <= "\udfff" or one == "\0" for one in text))
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | texts | st.sampled_from(["on", "12:30", "2026-01-01", "1_000", "0o7", "~", "yes", "{{ x }}", "- a", "a: b", "#"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(st.dictionaries(texts, values, max_size=4))
@settings(deadline=None, max_examples=60)
def test_whatever_is_written_reads_back_the_same(tree: dict[str, Json]) -> None:
    assert parse_tree(write_plain(tree).encode(), "w.yaml").tree == tree


@given(values, values)
@settings(deadline=None, max_examples=60)
def test_whatever_is_filled_in_reads_back_the_same(first: Json, second: Json) -> None:
    bound = {"a": first, "b": second}
    text = "template: {}\nx: '{{ template.a }}' # one\ny:\n  - \"{{ template.b }}\"\n  - z {{ template.a }} z\n# end\n"
    tree = parse_tree(text.encode(), "w.yaml").tree
    del tree["template"]

    def filled(value: Json) -> Json:
        return fill(value, bound, lambda *_: None)

    written = write_filled(text, filled(tree), filled)
    assert parse_tree(written.encode(), "w.yaml").tree == filled(tree)

"""What is wrong with an `agent_loop` is told at load, at the place where it is written."""

import pytest

from engine.definition import InvalidWorkflow, load_workflow
from engine.execution.control import control_types
from plugins.llm.nodes import llm_types
from plugins.nodes import builtin_types
from plugins.registry import Registry

TYPES = Registry([*control_types(), *builtin_types(), *llm_types(None)])
TEXT = """\
name: w
params: {site: {type: string, default: berlin}}
vars: {mood: good}
nodes:
  before: {type: log, message: "{{ params.site }}"}
  act:
    type: agent_loop
    model: m
    goal: "Look at {{ params.site }}."
    tools:
      look: {description: Looks., arguments: {id: {type: string}}}
      push: {arguments: {id: {type: string}, far: {type: boolean}}, optional: [far]}
    nodes:
      look: {type: log, message: "{{ arguments.id }}"}
      push: {type: log, message: "{{ arguments.id }}"}
outputs: "{{ nodes.act.answer }}"
"""


def load(text: str) -> None:
    load_workflow(text.encode(), types=TYPES, filename="w.yaml")


def problems(*changes: tuple[str, str]) -> list[str]:
    text = TEXT
    for old, new in changes:
        assert text.count(old) == 1
        text = text.replace(old, new)
    with pytest.raises(InvalidWorkflow) as caught:
        load(text)
    return [str(problem).partition(": nodes.act")[2] for problem in caught.value.problems]


def test_what_is_right_loads_with_the_nodes_that_it_makes():
    workflow = load_workflow(TEXT.encode(), types=TYPES)
    bodies = workflow.nodes["act"].bodies
    assert {name: list(body.nodes) for name, body in bodies.items()} == {"turn": ["model"], "tools": ["look", "push"]}
    [_, push] = bodies["turn"].nodes["model"].params["tools"]
    assert push["parameters"]["required"] == ["id"]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("      push: {type: log", "      pull: {type: log",
         [".tools.push: there is no node push that does it (add `nodes: {push: {type: …}}`)",
          ".nodes.pull: the model is told of no such tool (add `tools: {pull: {arguments: …}}`)"]),
        ("      push: {arguments", "      push: {name: look, arguments",
         [".tools.push: the model knows a tool look already: look (give it another `name`)"]),
        ("{id: {type: string}}}", "{id: {type: text}}}",
         ['.tools.look.arguments.id.type: expected a type, got "text" '
          "(one of object, array, string, number, integer, boolean, null)"]),
        ("{id: {type: string}}}", "{id: {enum: ['{{ params.site }}']}}}",
         [".tools.look.arguments.id: a schema is taken as it is written (remove the braces {{ }})"]),
        ("[far]", "[near]", [".tools.push.optional: there is no argument near (known: id, far)"]),
        ("    goal:", "    memory: {summarise: true}\n    goal:",
         [".memory.summarise: needs to know what is older (add `window: …`, how many turns stay as they are)"]),
        ("    goal:", "    approval: {within: soon}\n    goal:",
         [".approval.within: expected a duration such as 30s (such as 1h)"]),
        ("    goal:", "    stop_when: call.result > mood\n    goal:",
         [".stop_when: there is no mood in scope (did you mean vars.mood?)"]),
        ("    goal:", "    temperature: 3\n    goal:", [".temperature: expected a number >= 0 <= 2, got 3"]),
        ("    goal:", "    retry: {max: 2}\n    goal:",
         [".retry: a node of type agent_loop has no retry: each node inside has its own (put it on a node inside)"]),
        ("      look: {type: log,", "      look: {type: log, needs: push,",
         [".nodes.look.needs: the nodes of act run alone, each when it is asked for (remove needs)"]),
    ],
    ids=["nodes", "name", "schema", "braces", "optional", "memory", "approval", "stop_when", "temperature", "retry",
         "needs"],
)  # fmt: skip
def test_a_mistake_is_told(old, new, told):
    assert problems((old, new)) == told


def test_a_tool_is_not_called_like_a_node_that_the_loop_makes():
    told = problems(("      push: {arguments", "      model: {arguments"), ("      push: {type", "      model: {type"))
    assert told == [".nodes.model: act has a node model of its own (rename this one)"]


@pytest.mark.parametrize(
    ("old", "new", "where", "root"),
    [
        ("Look at {{ params.site }}.", "{{ trigger.data.text }}", "goal", "trigger"),
        ("    goal:", '    system: "{{ nodes.before }}"\n    goal:', "system", "nodes"),
        ("description: Looks.", 'description: "Looks, {{ vars.mood }}."', "tools.look.description", "vars"),
    ],
    ids=["goal", "system", "description"],
)
def test_with_strict_taint_our_words_hold_nothing_of_others(old, new, where, root):
    changed = TEXT.replace(old, new)
    load(changed)
    with pytest.raises(InvalidWorkflow) as caught:
        load(changed.replace("    model: m\n", "    model: m\n    taint: strict\n"))
    [problem] = caught.value.problems
    assert str(problem).partition(": nodes.act.")[2] == (
        f"{where}: with taint: strict it must not hold {root}, which others may have written (put it under input)"
    )

"""Nothing from a file may crash, hang or exhaust an agent: it is read, or refused with a problem."""

from contextlib import suppress

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from engine.definition import InvalidWorkflow, load_workflow, parse_tree, workflow_from_tree
from engine.definition.limits import MAX_BYTES, MAX_VALUES
from engine.execution.control import control_types
from engine.values import encode_json
from plugins.nodes import builtin_types
from plugins.registry import Registry

TYPES = Registry((*control_types(), *builtin_types()))
NAMES = ("w.yaml", "w.json", "w.toml")

BOMB = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
)
LONG_BOMB = f"a: &a {'x' * 60_000}\nb: [{','.join(['*a'] * 1000)}]\n"
HOSTILE = {
    "deep list": "[" * 100_000,
    "deep list on lines": "[\n" * 100_000,
    "deep list as a value": "a = " + "[" * 100_000,
    "deep object": '{"a":' * 100_000,
    "deep dashes": "- " * 30_000,
    "deep questions": "? " * 30_000,
    "alias bomb": BOMB,
    "long alias bomb": LONG_BOMB,
    "huge integer": "a: " + "9" * 60_000,
    "huge integer in TOML": "a = " + "9" * 100_000,
    "huge integer in JSON": '{"a": ' + "9" * 100_000 + "}",
    "huge exponent": "a: 1e" + "9" * 1000,
    "long tag": ("!" + "a" * 60_000 + " x\n") * 3,
    "long dotted name": "a." * 50_000 + "b = 1",
    "long dotted header": "[" + "a." * 50_000 + "b]",
    "only quotes": '"' * 200_000,
    "only backslashes": "\\" * 200_000,
    "unclosed quote": '"' + "a" * 200_000,
    "escapes": '"' + "\\x41" * 10_000 + '"',
    "impossible escape": 'a: "\\U99999999"',
    "commas": "[" + "a," * 10_000,
    "control character": "a: \x01",
    "line separators": "a: 1\u2028b: 2\x85c: 3",
    "carriage returns": "a: 1\rb: 2\r\nc: 3",
    "only directives": "%" * 60_000,
    "anchors": "- &a\n" * 20_000,
    "merge of merges": "a: &a {x: 1}\n" + "".join(f"b{n}: {{<<: [*a, *a]}}\n" for n in range(2_000)),
    "value as workflow": "5",
    "list as workflow": "[1, 2]",
}


@pytest.mark.parametrize("filename", NAMES)
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_read_or_refused(name: str, filename: str) -> None:
    refusal = ""
    try:
        tree = parse_tree(HOSTILE[name].encode(), filename).tree
        assert len(encode_json(tree)) < 8 * MAX_BYTES
    except InvalidWorkflow as error:
        refusal = str(error)
    assert len(refusal) < 500


def test_an_alias_bomb_is_counted_before_it_is_built() -> None:
    with pytest.raises(InvalidWorkflow, match=f"more than {MAX_VALUES} values"):
        parse_tree(BOMB.encode(), "w.yaml")
    with pytest.raises(InvalidWorkflow, match="with what aliases stand for"):
        parse_tree(LONG_BOMB.encode(), "w.yaml")


def test_deep_nesting_is_refused_in_every_format() -> None:
    for text, filename in (
        ("[" * 65 + "]" * 65, "w.yaml"),
        ("[" * 65 + "]" * 65, "w.json"),
        ("a=" + "[" * 65 + "]" * 65, "w.toml"),
    ):
        with pytest.raises(InvalidWorkflow, match="deep"):
            parse_tree(text.encode(), filename)
    aliases = "a: &a " + "[" * 40 + "]" * 40 + "\nb: " + "[" * 40 + "*a" + "]" * 40
    with pytest.raises(InvalidWorkflow, match="deep"):
        parse_tree(aliases.encode(), "w.yaml")


def test_a_file_over_the_limit_is_not_even_parsed() -> None:
    with pytest.raises(InvalidWorkflow, match="more than a workflow file may have"):
        parse_tree(b"#" * (MAX_BYTES + 1), "w.yaml")


WORDS = st.sampled_from(
    ["name", "nodes", "params", "triggers", "type", "needs", "nats", "cron", "subject", "log", "if", "switch", "a", "b",
     "a.then", "{{ nodes.a.x }}", "{{ params.b }}", "{{ secrets.X }}", "{{", "30s", "-1", "when", "retry", "default",
     "default", "message", "condition", "cases", "value", "one_of", "min", "pattern", "(", "defaults", "outputs",
     "join", "any", "string", "number", "schedule", "* * * * *", ">", "http", "url", "headers", "sleep", "duration", ""]
)  # fmt: skip
TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS | st.text(max_size=4), inner, max_size=6),
    max_leaves=30,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.fixed_dictionaries({}, optional={
    "name": WORDS, "params": st.dictionaries(WORDS, TREES, max_size=3) | TREES, "triggers": st.lists(TREES, max_size=3),
    "defaults": TREES, "outputs": TREES, "timeout": TREES, "events": TREES, "on_failure": TREES,
    "nodes": st.dictionaries(WORDS, st.dictionaries(WORDS, TREES, max_size=6) | TREES, max_size=5),
}) | TREES)  # fmt: skip
def test_any_tree_is_a_workflow_or_a_list_of_problems(tree: object) -> None:
    with suppress(InvalidWorkflow):
        workflow_from_tree(tree, types=TYPES)


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=st.sampled_from(list("ab:,-?{}[]&*!|>'\"%@#\n \t\\<0x.~=\u2028\ufeff")), max_size=60))
@example("? a\n- b")
@example("a: |9\n b")
def test_any_text_is_read_or_refused(text: str) -> None:
    for filename in NAMES:
        with suppress(InvalidWorkflow):
            load_workflow(text.encode(), types=TYPES, filename=filename)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=80))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for filename in NAMES:
        with suppress(InvalidWorkflow):
            parse_tree(data, filename)


def test_a_file_of_unknown_names_is_refused_soon() -> None:
    """A near name is looked for as often as a person reads it, among as many as that takes."""
    nodes = {f"n{n}": {"type": "transform", "data": f"{{{{ nodes.m{n} }}}}"} for n in range(5_000)}
    with pytest.raises(InvalidWorkflow) as caught:
        workflow_from_tree({"name": "w", "nodes": nodes}, types=TYPES)
    assert str(caught.value).endswith("and 4900 more problems")

"""Declared parameters, and the values that they are bound to."""

from collections.abc import Callable

import pytest

from engine.definition import InvalidWorkflow, Workflow, bind_params, parse_param
from engine.definition.model import Param
from engine.values import Json

Load = Callable[..., Workflow]
Complain = Callable[..., list[str]]


def declared(rules: str) -> str:
    return f"name: w\nparams:\n  p: {rules}\nnodes: {{a: {{type: log, message: '{{{{ params.p }}}}'}}}}\n"


def refusal(param: Param, value: Json) -> str:
    with pytest.raises(InvalidWorkflow) as caught:
        bind_params({"p": param}, {"p": value})
    (problem,) = caught.value.problems
    assert problem.path == "params.p"
    return problem.message


@pytest.mark.parametrize(
    ("type", "given", "bound"),
    [
        ("string", "4", "4"), ("string", "", ""), ("number", 4, 4), ("number", "4", 4), ("number", " -1.5 ", -1.5),
        ("integer", "7", 7), ("boolean", "true", True), ("boolean", False, False), ("list", "[1, 2]", [1, 2]),
        ("object", '{"a": 1}', {"a": 1}), ("any", "4", "4"), ("any", [None], [None]), ("number", None, None),
    ],
)  # fmt: skip
def test_a_value_is_bound_as_the_type_of_its_parameter(type: str, given: Json, bound: Json) -> None:
    (value,) = bind_params({"p": Param(type=type)}, {"p": given}).values()
    assert (value, value.__class__) == (bound, bound.__class__)


@pytest.mark.parametrize(
    ("param", "value", "said"),
    [
        (Param(type="number"), "warm", 'expected a number, got "warm"'),
        (Param(type="number"), True, "expected a number, got true"),
        (Param(type="integer"), 1.5, "expected a whole number, got 1.5"),
        (Param(type="integer"), "1.5", "expected a whole number, got 1.5"),
        (Param(type="boolean"), "yes", 'expected true or false, got "yes"'),
        (Param(type="string"), 5, "expected text, got 5"),
        (Param(type="list"), {}, "expected a list, got an object"),
        (Param(type="number", required=True), None, "expected a number, got null"),
        (Param(type="number", default=1), None, "expected a number, got null"),
        (Param(type="number", min=2), 1, "1 is less than min 2"),
        (Param(type="number", max=2.5), 3, "3 is more than max 2.5"),
        (Param(type="string", min_length=3), "ab", '"ab" has length 2, less than min_length 3'),
        (Param(type="list", max_length=1), [1, 2], "a list has length 2, more than max_length 1"),
        (Param(type="string", pattern="[a-z]+"), "a1", '"a1" does not match the pattern [a-z]+'),
        (Param(type="any", one_of=(1, "a")), True, 'expected one of 1, "a", got true'),
        (Param(type="any"), 2**70, "the integer 1180591620717411303424 does not fit into 64 bits; send it as a string"),
    ],
)
def test_a_value_that_breaks_a_rule_is_refused(param: Param, value: Json, said: str) -> None:
    assert refusal(param, value) == said


def test_all_values_are_judged_together() -> None:
    params = {"a": Param(type="number"), "b": Param(type="string", required=True), "limit": Param(type="any")}
    with pytest.raises(InvalidWorkflow) as caught:
        bind_params(params, {"a": "x", "limits": 1}, file="deploy")
    assert [str(problem) for problem in caught.value.problems] == [
        "deploy: params.limits: there is no parameter limits (did you mean limit?)",
        'deploy: params.a: expected a number, got "x"',
        "deploy: params.b: a value is required (give it with -p b=…, text)",
    ]


def test_values_stand_in_the_order_of_declaration_with_defaults() -> None:
    params = {"a": Param(type="number", default=1), "b": Param(type="string"), "c": Param(type="any", default=None)}
    assert list(bind_params(params, {"b": "x"}).items()) == [("a", 1), ("b", "x"), ("c", None)]


def test_a_run_overrides_what_was_bound(load: Load) -> None:
    workflow = load(declared("{type: number, required: true, max: 9}"), params={"p": 4})
    assert workflow.bound == {"p": 4}
    assert bind_params(workflow.params, {**workflow.bound, "p": "5"}) == {"p": 5}


def test_a_pattern_takes_linear_time() -> None:
    assert "does not match" in refusal(Param(type="string", pattern="(a+)+b"), "a" * 100_000)


def test_an_assignment_is_split_at_its_first_equals_sign() -> None:
    assert parse_param("limit=4") == ("limit", "4")
    assert parse_param("expr=a=b") == ("expr", "a=b")
    assert parse_param("empty=") == ("empty", "")
    for text in ("limit", "=4", ""):
        with pytest.raises(ValueError, match="write it as -p limit=4"):
            parse_param(text)


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ("8", "params.p: expected an object, got 8 (write {type: …, default: 8})"),
        ("{default: 8}", "params.p: type is missing"),
        ("{type: nubmer}", "params.p.type: expected one of any, boolean, integer, list, number, object, string"),
        ("{type: number, defalt: 8}", "params.p.defalt: there is no field defalt (did you mean default?)"),
        ("{type: number, default: x}", 'params.p.default: expected a number, got "x"'),
        ("{type: number, default: 9, max: 8}", "params.p.default: 9 is more than max 8"),
        ("{type: number, min: 9, max: 8}", "params.p.min: min 9 is more than max 8 (exchange them)"),
        ("{type: string, min: 9}", "params.p.min: min does not apply to a parameter of type string (remove it)"),
        ("{type: string, pattern: '('}", "params.p.pattern: "),
        ("{type: string, min_length: -1}", "params.p.min_length: expected a whole number >= 0, got -1"),
        ("{type: string, one_of: [a, 1]}", "params.p.one_of[1]: expected text, got 1"),
        ("{type: string, default: c, one_of: [a, b]}", 'params.p.default: expected one of "a", "b", got "c"'),
        (
            "{type: string, default: c, required: true}",
            "params.p.required: a parameter with a default is never required",
        ),
    ],
)
def test_a_wrong_declaration_is_refused(complain: Complain, rules: str, said: str) -> None:
    (problem,) = complain(declared(rules))
    assert problem.startswith(f"w.yaml:3: {said}")


def test_a_broken_declaration_hides_nothing_and_adds_nothing(complain: Complain) -> None:
    text = declared("{type: nubmer}") + "outputs: '{{ params.q }}'\n"
    first, second = complain(text, params={"p": 4})
    assert first.startswith("w.yaml:3: params.p.type: expected one of")
    assert second == "w.yaml:5: outputs: there is no parameter q (known: p)"


@pytest.mark.parametrize(("name", "said"), [
    ("Limit", "(call it limit)"), ("max-age", "(call it max_age)"), ("9", "(call it something like read_sensor)"),
    ("trigger", "trigger means something else in expressions"), ("secrets", "secrets means something else"),
])  # fmt: skip
def test_a_name_that_expressions_cannot_use_is_refused(complain: Complain, name: str, said: str) -> None:
    (problem,) = complain(f"name: w\nparams: {{{name}: {{type: any}}}}\nnodes: {{a: {{type: log, message: x}}}}")
    assert said in problem


def test_check_may_leave_required_values_open(load: Load, complain: Complain) -> None:
    text = declared("{type: string, required: true}") + "timeout: '{{ params.p }}'\n"
    assert complain(text) == ["w.yaml:3: params.p: a value is required (give it with -p p=…, text)"]
    assert load(text, complete=False).bound == {}
    assert load(text, params={"p": "5s"}).timeout == 5

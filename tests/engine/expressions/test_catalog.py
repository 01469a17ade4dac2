"""Every name of the language is documented with an example that holds."""

import pytest

from engine.expressions import FILTERS, FUNCTIONS, TESTS, Filter, Function, Scope, Test, compile_expression

EVERY = {
    f"{kind} {one.name}": one
    for kind, catalog in (("function", FUNCTIONS), ("filter", FILTERS), ("test", TESTS))
    for one in catalog.values()
}


@pytest.mark.parametrize("one", EVERY.values(), ids=list(EVERY))
def test_example_gives_its_result(one: Function | Filter | Test) -> None:
    result = compile_expression(one.example).evaluate(Scope({"nodes": {"a": {}}}, now=0, seed="example"))
    assert result == one.result
    assert type(result) is type(one.result)


@pytest.mark.parametrize("one", EVERY.values(), ids=list(EVERY))
def test_description_is_one_line_and_the_signature_names_it(one: Function | Filter | Test) -> None:
    assert one.description.endswith(".")
    assert "\n" not in one.description
    assert one.name in one.signature


def test_signatures_read_like_the_language() -> None:
    assert FILTERS["round"].signature == 'number|round(precision: integer = 0, method: string = "common")'
    assert FUNCTIONS["range"].signature == "range(start: integer, stop: integer|null = null, step: integer = 1)"
    assert TESTS["divisibleby"].signature == "integer is divisibleby(divisor: integer)"
    assert FILTERS["int"].signature == "string|number|boolean|int(default?: any)"


def test_aliases_name_the_same_thing() -> None:
    assert FILTERS["d"] is FILTERS["default"]
    assert FILTERS["count"] is FILTERS["length"]
    assert TESTS["=="] is TESTS["eq"]

"""One scope with a bit of everything, and the two lines every test would repeat."""

from collections.abc import Callable

import pytest

from engine.expressions import Scope, compile_expression, compile_text
from engine.values import Json

VALUES = {
    "trigger": {
        "data": {
            "device": "fridge-7",
            "celsius": 9.5,
            "kind": "x",
            "zero": 0,
            "empty": "",
            "nothing": None,
            "flag": True,
        },
        "headers": {"content-type": "application/json"},
    },
    "params": {"limit": 8, "names": ["b", "a", "C"]},
    "nodes": {
        "triage": {"level": "warning", "user": {"age": 41, "roles": ["admin", "ops"]}},
        "list": {"rows": [{"n": 1, "k": "b", "ok": True}, {"n": 3, "k": "a"}, {"n": 2, "k": "b", "ok": False}]},
        "text": "plain",
    },
    "execution": {"id": "e1", "attempt": 1},
}
NOW = 1_795_256_100_000_000


@pytest.fixture
def scope() -> Scope:
    return Scope(VALUES, now=NOW, seed="e1/path", hints={"nodes.alert": "alert was skipped"})


@pytest.fixture
def evaluate(scope: Scope) -> Callable[[str], Json]:
    return lambda source: compile_expression(source).evaluate(scope)


@pytest.fixture
def render(scope: Scope) -> Callable[[str], Json]:
    return lambda source: compile_text(source).evaluate(scope)

"""What a program reads, exactly: the edges between nodes come from here."""

import pytest

from engine.expressions import Reference, compile_expression, compile_text, compile_tree


def found(source: str) -> list[tuple[str, bool]]:
    program = compile_text(source) if "{" in source else compile_expression(source)
    return [(".".join(map(str, (one.root, *one.path))), one.guarded) for one in program.references]


CASES = [
    ("nodes.triage.level", [("nodes.triage.level", False)]),
    ("$triage.user.age", [("nodes.triage.user.age", False)]),
    ("$triage.rows[*].n", [("nodes.triage.rows", False)]),
    ("$a.rows[?(@.n > params.limit)]", [("nodes.a.rows", False), ("params.limit", False)]),
    ("nodes.a.b|default(1)", [("nodes.a.b", True)]),
    ("nodes.a.b|default(nodes.c)", [("nodes.a.b", True), ("nodes.c", False)]),
    ("nodes.a.b is defined", [("nodes.a.b", True)]),
    ("nodes.a.b is defined and nodes.a.b.c > 1", [("nodes.a.b", True), ("nodes.a.b.c", True)]),
    ("nodes.a if nodes.a is defined else nodes.b", [("nodes.a", True), ("nodes.b", False)]),
    ("nodes.a is defined or nodes.a", [("nodes.a", False)]),
    ("nodes.a.x|default(0) + nodes.a.x", [("nodes.a.x", False)]),
    ("nodes.a[params.key].b", [("nodes.a", False), ("params.key", False)]),
    ("nodes.a[params.key]|default(0)", [("nodes.a", True), ("params.key", False)]),
    ("nodes.a[0]['1'].b + nodes.a['0']", [("nodes.a.0.1.b", False), ("nodes.a.0", False)]),
    ("nodes.a.x + nodes.a.x", [("nodes.a.x", False)]),
    ("nodes.a[1:].b", [("nodes.a", False)]),
    ("true or nodes.a", [("nodes.a", False)]),
    ("[1]|map('replace', trigger.a, trigger.b)", [("trigger.a", False), ("trigger.b", False)]),
    ("jsonpath('$.x', nodes.a)", [("nodes.a", False)]),
    ("trigger", [("trigger", False)]),
    ("{{ nodes.a }}{% if nodes.b %}{{ nodes.c }}{% elif nodes.d %}{% else %}{{ nodes.e }}{% endif %}",
     [("nodes.a", False), ("nodes.b", False), ("nodes.c", False), ("nodes.d", False), ("nodes.e", False)]),
    ("{% for x in nodes.a if x.ok and vars.y %}{{ x.n }}{{ loop.index }}{{ params.p }}{% else %}{{ x }}{% endfor %}",
     [("nodes.a", False), ("vars.y", False), ("params.p", False), ("x", False)]),
    ("{% if nodes.a is defined %}{{ nodes.a.x }}{% endif %}", [("nodes.a", True), ("nodes.a.x", True)]),
    ("{% raw %}{{ nodes.a }}{% endraw %}{# {{ nodes.b }} #}", []),
    ("Bearer {{ secrets.TOKEN }}", [("secrets.TOKEN", False)]),
    ("costs $5 and nodes.a {", []),
]  # fmt: skip


@pytest.mark.parametrize(("source", "expected"), CASES, ids=[source for source, _ in CASES])
def test_references_of(source: str, expected: list[tuple[str, bool]]) -> None:
    assert found(source) == expected


def test_a_reference_knows_its_place() -> None:
    (reference,) = compile_text("at {{ nodes.triage.level }}").references
    assert reference == Reference("nodes", ("triage", "level"))
    assert (reference.offset, reference.source) == (6, "at {{ nodes.triage.level }}")


def test_a_tree_has_the_references_of_all_its_texts_once() -> None:
    program = compile_tree({"a": "{{ nodes.x }}", "b": ["{{ nodes.y }} {{ nodes.x }}", 3], "{{ nodes.z }}": None})
    assert [one.path for one in program.references] == [("x",), ("y",)]

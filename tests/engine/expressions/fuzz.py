"""Coverage-guided fuzzing of compile and evaluate: `python tests/engine/expressions/fuzz.py -max_total_time=600`.

The arguments are libFuzzer's. Anything but an ExpressionError, a result that is no data, or a second evaluation that
differs is a finding. test_fuzz runs it for a few seconds.
"""

import json
import sys
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[3]))

with atheris.instrument_imports(include=["engine.expressions"]):
    from engine.expressions import (
        FILTERS,
        FUNCTIONS,
        TESTS,
        ExpressionError,
        Program,
        Scope,
        compile_expression,
        compile_text,
    )
from engine.values import INT_MAX, InvalidValue, check_value, encode_json

VALUES = {
    "a": {"n": 1, "b": [1, 2.5, "x", None, True, {"n": INT_MAX}], "t": "2026-11-21T10:15:00Z", "d": "90s"},
    "s": "some text, 7",
    "nodes": {"a": {"rows": [{"n": 1, "k": "x"}, {"n": 2}]}},
}
# Bytes below 128 are characters, those above are words: a mutation then changes a word, not half of one.
WORDS = [
    *[
        "{{",
        "}}",
        "{% if ",
        "{% for x in ",
        "%}",
        "{% else %}",
        "{% endif %}",
        "{% endfor %}",
        "nodes.a.rows",
        "a.b",
        "s",
    ],
    *["|", " is ", " in ", " not ", " and ", " or ", " if ", " else ", "$a.", "[?(@.n", "[*]", "secrets.X", "default"],
    *sorted({*FILTERS, *FUNCTIONS, *TESTS}),
][:128]


def source_of(data: bytes) -> str:
    return "".join(chr(byte) if byte < 128 else WORDS[byte - 128] for byte in data)


def outcome(program: Program) -> bytes:
    try:
        result = program.evaluate(Scope(VALUES, now=0, seed="s"))
    except ExpressionError as error:
        return str(error).encode()
    check_value(result, max_depth=200)
    return json.dumps(result).encode()  # also of a secret's marker


def once(data: bytes) -> None:
    source = source_of(data)
    before = encode_json(VALUES)
    for compile_source in (compile_expression, compile_text):
        try:
            program = compile_source(source)
        except ExpressionError as error:
            str(error)
            continue
        if outcome(program) != outcome(program):
            raise AssertionError(f"{source!r} gives two results")
    if encode_json(VALUES) != before:
        raise AssertionError(f"{source!r} changed its values")


if __name__ == "__main__":
    try:
        atheris.Setup(sys.argv, once)
        atheris.Fuzz()
    except InvalidValue as error:
        raise SystemExit(f"a result is no data: {error}") from error

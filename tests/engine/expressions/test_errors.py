# ruff: noqa: E501 - a table reads by its lines
"""What every refusal says, and the character it points at: `^` stands behind the source at the place."""

from collections.abc import Callable

import pytest

from engine.expressions import ExpressionError, compile_expression, compile_text
from engine.values import Json

SYNTAX = [
    ("1 +", 3, "expected a value, found nothing", ""),
    ("", 0, "expected a value, found nothing", ""),
    ("1 2", 2, "expected the end of the expression, found 2", ""),
    ("a = 1", 2, "expected the end of the expression, found =", "write == to compare"),
    ("(1", 0, "( is never closed", ""),
    ("[1)", 2, ") closes nothing", ""),
    ("1)", 1, ") closes nothing", ""),
    ("'abc", 0, "the string is never closed", "write ' behind it"),
    ("a & b", 2, "'&' is not part of the language", "write and, or ~ to join texts"),
    ("2 ^ 3", 2, "'^' is not part of the language", "write ** for a power"),
    ("1 if a", 6, "expected else, found nothing", "a value is needed for both cases: a if condition else b"),
    ("3abc", 0, "3a is neither a number nor a name", ""),
    ("9223372036854775808", 0, "the integer 9223372036854775808 does not fit into 64 bits", ""),
    ("1e999", 0, "1e999 is more than a number can hold", ""),
    (r"'\ud800'", 1, r"\ud800 is not a character", ""),
    ("a.b.0", 4, "expected a name behind the dot, found 0", "write an index in brackets: list[0]"),
    ("a.'b'", 2, "expected a name behind the dot, found 'b'", 'write it in brackets: ["name"]'),
    ("a.pop('k')", 2, "there are no methods, so .pop(…) has no meaning", "write a filter: …|pop"),
    ("2 ** 3 ** 2", 7, "** has no one reading here", "write brackets: (a ** b) ** c, -(a ** b)"),
    ("-x ** 2", 3, "** has no one reading here", "write brackets: (a ** b) ** c, -(a ** b)"),
    ("-2 ** 2", 3, "** has no one reading here", "write brackets: (-2) ** 2"),
    ("(1, 2)", 2, "expected ), found ,", "there are no tuples: write a list, [a, b]"),
    ("{'a' 1}", 5, "expected :, found 1", 'an object is written {"key": value}'),
    ("{1: 2}", 1, "a key is a string, not the number 1", 'write it in quotes: {"1": …}'),
    ("x|", 2, "expected the name of a filter, found nothing", ""),
    ("x|uper", 2, "there is no filter uper", "did you mean upper?"),
    ("x|format(1)", 2, "there is no filter format", "join with ~, or write |format_number(2)"),
    ("x|range", 2, "there is no filter range", "it is a function: write range(x)"),
    ("upper(x)", 0, "there is no function upper", "it is a filter: write x|upper"),
    ("rang(3)", 0, "there is no function rang", "did you mean range?"),
    ("x is evn", 5, "there is no test evn", "did you mean even?"),
    ("x is 3", 5, "expected the name of a test, found 3", "such as defined, none, number, string, even"),
    ("x|round(a=1)", 2, "round has no argument a", 'it is number|round(precision: integer = 0, method: string = "common")'),
    ("x|round(precison=1)", 2, "round has no argument precison", "did you mean precision?"),
    ("x|upper(1)", 2, "upper takes one argument, not 2", "it is string|upper"),
    ("x|replace('a')", 2, "replace needs new", "it is string|replace(old: string, new: string, count: integer = -1)"),
    ("x|round(1, precision=2)", 2, "round: precision is given twice", 'it is number|round(precision: integer = 0, method: string = "common")'),
    ("f(a=1, a=2)", 7, "a is given twice", ""),
    ("f(a=1, 2)", 7, "a value without a name stands behind one with a name", ""),
    ("x is defined(1)", 5, "defined takes no arguments", ""),
    ("x|map('upr')", 6, "there is no filter upr", "did you mean upper?"),
    ("x|select('evn')", 9, "there is no test evn", "did you mean even?"),
    ("x|map(y)", 6, "map needs a filter's name in quotes", ""),
    ("x|selectattr", 2, "selectattr needs an attribute's name", "it is list|selectattr(attribute: string, test: string, …)"),
    ("x|map", 2, "map needs a filter's name", "it is list|map(filter: string, …) or list|map(attribute: string, default: any)"),
    ("x|map('map', 'upper')", 6, "map cannot be applied by map", ""),
    ("nodes[x].y", 0, "nodes needs a name that is known before anything runs", "write the node's name, nodes.triage, so that the order of nodes is known"),
    ("nodes|tojson", 0, "nodes needs a name that is known before anything runs", "write the node's name, nodes.triage, so that the order of nodes is known"),
    ("$", 1, "expected a node's name behind $, found nothing", "such as $triage.user.age"),
    ("$a[x]", 3, "expected an index, a name in quotes, * or ?, found x", "there is [0], ['name'], [*], [?(@.x > 1)]"),
    ("@.x", 0, "expected a value, found @", "@ stands inside [?(…)] of a JSONPath only"),
    ("1 / 0", 2, "division by zero", ""),
    ("'a' < 1", 4, 'cannot order the string "a" with the number 1', 'convert the string: "7.5"|float, "7"|int'),
]  # fmt: skip
EVALUATION = [
    ("triger.data", 0, "there is no triger here", "did you mean trigger?"),
    ("x", 0, "there is no x here", "there is trigger, params, nodes, execution"),
    ("nodes.triage.levl", 13, "nodes.triage has no key levl", "did you mean level?"),
    ("nodes.triage.zzz", 13, "nodes.triage has no key zzz", "there is level, user"),
    ("nodes.alert.body", 6, "nodes.alert is undefined", "alert was skipped"),
    ("nodes.triag.level", 6, "nodes.triag is undefined", "did you mean triage?"),
    ("nodes.text.body", 11, "nodes.text is a string, it has no body", "|default(…) says what to take instead"),
    ("trigger.data.nothing.x", 21, "trigger.data.nothing is null, it has no x", "|default(…) says what to take instead"),
    ("params.names[3]", 12, "params.names has 3 items, there is no [3]", "|default(…) says what to take instead"),
    ("nodes.list.rows.n", 16, "nodes.list.rows is a list, it has no n", "take one item, [0], or all: |map(attribute='…')"),
    ("params.names[execution.id]", 12, "this is a list, it has no e1", "take one item, [0], or all: |map(attribute='…')"),
    ("params.names[1.5]", 12, "an index is an integer or a string, not the number 1.5", ""),
    ("params.names['a':]", 12, 'the bounds of a slice are integers, not the string "a"', ""),
    ("params[1:]", 6, "a list or a string can be sliced, not an object", ""),
    ("trigger.data.device > 3", 20, 'cannot order the string "fridge-7" with the number 3', 'convert the string: "7.5"|float, "7"|int'),
    ("params.limit == '8'", 13, 'cannot compare the number 8 with the string "8"', 'convert the string: "7.5"|float, "7"|int'),
    ("trigger.data.flag == 1", 18, "cannot compare the boolean true with the number 1", "convert the boolean: |int"),
    ("trigger.data.nothing < 1", 21, "cannot order null with the number 1", "null is a value of its own: |default(x, true) replaces it"),
    ("params.names < params.names", 13, "a list has no order", "use |default(0, true)"),
    ("params.limit in 3", 13, "in looks into a list, an object or a string, not into the number 3", ""),
    ("params.limit in 'a'", 13, 'the number 8 is never in the string "a"', "convert the number: |string"),
    ("params.limit + 'a'", 13, '+ has no meaning between the number 8 and the string "a"', 'join texts with ~, or convert: "7.5"|float'),
    ("params.limit * null", 13, "* needs a number, not null", "null is a value of its own: |default(x, true) replaces it"),
    ("1 - true", 2, "- needs a number, not the boolean true", "convert the boolean: |int"),
    ("-trigger.data.device", 0, '- needs a number, not the string "fridge-7"', 'convert the string: "7.5"|float, "7"|int'),
    ("trigger.data.device % 3", 20, "% does not format strings", "join with ~, or write |format_number(2)"),
    ("params.limit // trigger.data.zero", 13, "division by zero", ""),
    ("params.limit % 0", 13, "division by zero", ""),
    ("9223372036854775807 + params.limit", 20, "the result does not fit into 64 bits", "make it a float: x|float"),
    ("params.limit ** 99", 13, "the result does not fit into 64 bits", "make it a float: x|float"),
    ("1e308 * params.limit * 1e308", 6, "the result is more than a number can hold", ""),
    ("trigger.data.zero ** -1", 18, "0 has no negative power", ""),
    ("-8.0 * params.limit|float ** 0 + (0 - params.limit) ** 0.5", 52, "a negative number has no fractional power", ""),
    ("params.limit|upper", 13, "upper needs a string, not the number 8", "convert the number: |string"),
    ("params.limit|round(trigger.data.celsius)", 13, "round: precision needs an integer, not the number 9.5", "make it whole: |round|int"),
    ("trigger.data.device|round", 20, 'round needs a number, not the string "fridge-7"', 'convert the string: "7.5"|float, "7"|int'),
    ("params|sum", 7, "sum needs a list, not an object", "take |items, |keys or |values of the object"),
    ("params.names|sum", 13, 'sum needs numbers, not the string "b"', "convert them: |map('float')"),
    ("params.names|select('even')", 20, 'even needs an integer, not the string "b"', 'convert the string: "7.5"|float, "7"|int'),
    ("[1, params.names[0]]|sort", 21, 'cannot order the number 1 with the string "b"', 'convert the string: "7.5"|float, "7"|int'),
    ("nodes.list.rows|map(attribute='ok')", 16, "an item has no ok", "map(attribute=…, default=…)"),
    ("nodes.list.rows|selectattr('ok')", 16, "an item has no ok", "selectattr('…', 'defined') asks first"),
    ("nodes.list.rows|sum('x')", 16, "item 0 has no x", "select those that have it first"),
    ("trigger.data.empty|first", 19, "first of nothing is undefined", "|default(…) says what to take instead"),
    ("max(params.names[3:])", 0, "max of nothing is undefined", "x|max|default(…) says what to take instead"),
    ("trigger.data.device|int", 20, 'the string "fridge-7" is no integer', "int(default=0) says what to take instead"),
    ("trigger.data.device|bool", 20, 'the string "fridge-7" is neither true nor false', "true, yes, on, 1 and false, no, off, 0 are"),
    ("trigger.data.device|time", 20, 'the string "fridge-7" is no time', "a time is written 2026-11-21T10:15:00Z"),
    ("trigger.data.device|duration", 20, 'the string "fridge-7" is no duration', "a duration is written 90s, 500ms or 1h30m"),
    ("now()|format_time('%5d')", 6, "format_time: %5 is no directive", "such as %Y-%m-%d %H:%M:%S, %A, %B, %Z"),
    ("now()|format_time('%d', '../etc')", 6, "there is no time zone ../etc", "such as UTC or Europe/Berlin"),
    ("trigger.data.device|fromjson", 20, "fromjson: not valid JSON: JSON is malformed: invalid character (byte 5)", ""),
    ("trigger.data.device|regex_search('(')", 20, "not a pattern: missing ): (", "look-around and back-references are not supported"),
    (r"trigger.data.device|regex_search('(a)\1')", 20, r"not a pattern: invalid escape sequence: \1", "look-around and back-references are not supported"),
    ("jsonpath('rows', params)", 0, "jsonpath rows: expected $, the value itself, found rows", "a JSONPath starts with $, such as $.rows[*].name"),
    ("jsonpath('$.rows', params)", 0, "jsonpath: $.rows is not there", "a path with * or ?(…) gives a list, empty or not"),
    ("{params.limit: 1}", 1, "a key is a string, not the number 8", "convert it: |string"),
]  # fmt: skip
TEXT = [
    ("a {{ x", 2, "{{ is never closed", "write }} behind the expression"),
    ("a {{ }}", 5, "expected a value between {{ and }}, found nothing", "{{ '{{' }} writes the braces themselves"),
    ("{{ a b }}", 5, "expected }}, found b", ""),
    ("{% if x %}a", 0, "{% if %} is never closed", "write {% endif %} where it ends"),
    ("{% for x in y %}{% endif %}", 16, "expected {% endfor %}, found {% endif %}", ""),
    ("a{% endif %}", 1, "{% endif %} closes nothing", "there is no if before it"),
    ("{% set x = 1 %}", 3, "there is no tag set", "give the value to a node of its own, or repeat it"),
    ("{% fro x in y %}", 3, "there is no tag fro", "did you mean for?"),
    ("{% %}", 0, "expected the name of a tag", "such as {% if x %} or {% for x in xs %}"),
    ("{# a", 0, "{# is never closed", "write #} behind the comment"),
    ("{% raw %}{{ x }}", 0, "{% raw %} is never closed", "write {% endraw %} where it ends"),
    ("{% for nodes in y %}{% endfor %}", 7, "nodes is a name of the scope", "give the variable another name"),
    ("{% for x, x in y %}{% endfor %}", 0, "the loop names x twice", ""),
    ("{% for x y %}{% endfor %}", 9, "expected in, found y", "a loop is written {% for x in xs %}"),
    ("{% for x in params.limit %}{% endfor %}", 12, "a loop needs a list, not the number 8", ""),
    ("{% for k, v in params %}{% endfor %}", 15, 'the string "limit" does not unpack into 2 names', "loop over |items of an object to get keys and values"),
    ("x {{ nodes.triage.levl }}", 18, "nodes.triage has no key levl", "did you mean level?"),
]  # fmt: skip


@pytest.mark.parametrize(("source", "offset", "message", "hint"), SYNTAX, ids=[case[0] for case in SYNTAX])
def test_what_can_be_known_to_be_wrong_is_refused_when_compiled(
    source: str, offset: int, message: str, hint: str
) -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_expression(source)
    assert (caught.value.message, caught.value.offset, caught.value.hint) == (message, offset, hint)


@pytest.mark.parametrize(("source", "offset", "message", "hint"), EVALUATION, ids=[case[0] for case in EVALUATION])
def test_evaluation_refuses_and_points(
    source: str, offset: int, message: str, hint: str, evaluate: Callable[[str], Json]
) -> None:
    with pytest.raises(ExpressionError) as caught:
        evaluate(source)
    assert (caught.value.message, caught.value.offset, caught.value.hint) == (message, offset, hint)


@pytest.mark.parametrize(("source", "offset", "message", "hint"), TEXT, ids=[case[0] for case in TEXT])
def test_texts_refuse_and_point(
    source: str, offset: int, message: str, hint: str, render: Callable[[str], Json]
) -> None:
    with pytest.raises(ExpressionError) as caught:
        render(source)
    assert (caught.value.message, caught.value.offset, caught.value.hint) == (message, offset, hint)


def test_the_error_shows_the_line_with_a_caret(render: Callable[[str], Json]) -> None:
    with pytest.raises(ExpressionError) as caught:
        render("Dear all,\n\tthe level is {{ nodes.triage.levl }}.\nBye")
    assert str(caught.value) == (
        "nodes.triage has no key levl\n"
        "   the level is {{ nodes.triage.levl }}.\n"
        "                                ^\n"
        "  did you mean level?"
    )
    assert (caught.value.line, caught.value.column) == (2, 31)


def test_a_long_line_is_cut_around_the_caret() -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_expression("1 + " * 100 + "?" + " + 1" * 100)
    _, line, caret = str(caught.value).split("\n")
    assert line[caret.index("^")] == "?"
    assert len(line) < 110


def test_source_must_be_text_that_utf8_can_hold() -> None:
    with pytest.raises(ExpressionError, match="a lone surrogate is not a character"):
        compile_text("a\ud800b")
    with pytest.raises(ExpressionError, match="an expression is text, not a int"):
        compile_expression(3)  # type: ignore[arg-type]

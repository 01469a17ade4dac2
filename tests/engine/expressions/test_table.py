# ruff: noqa: E501 - a table reads by its lines
"""What every operator, filter, test and function gives: source, expected value."""

from collections.abc import Callable

import pytest

from engine.values import Json

LITERALS = [
    ("1", 1), ("1_000", 1000), ("1.5", 1.5), ("1e3", 1000.0), ("2.5e-1", 0.25), ("true", True), ("False", False),
    ("null", None), ("None", None), ("none", None), ("'a'", "a"), ('"a"', "a"), (r"'a\n\t\'\\'", "a\n\t'\\"),
    (r"'\x41\u00e4\U0001F600'", "A\u00e4\U0001F600"), (r"'\d\.'", r"\d\."), ("'a' 'b'", "ab"), ("[]", []),
    ("[1, 'a', [2],]", [1, "a", [2]]), ("{}", {}), ("{'a': 1, \"b\": {'c': 2},}", {"a": 1, "b": {"c": 2}}),
    ("-9223372036854775808", -(2**63)), ("9223372036854775807", 2**63 - 1), ("(1)", 1),
]  # fmt: skip
PATHS = [
    ("trigger.data.device", "fridge-7"), ("trigger['data'][\"device\"]", "fridge-7"),
    ("trigger.headers['content-type']", "application/json"), ("nodes.triage.user.roles[0]", "admin"),
    ("nodes.triage.user.roles[-1]", "ops"), ("params.names[execution.attempt]", "a"),
    ("trigger[params.names[5]|default('data')].kind", "x"), ("params.names[1:]", ["a", "C"]),
    ("params.names[:-1]", ["b", "a"]), ("params.names[:]", ["b", "a", "C"]), ("'abc'[1]", "b"), ("'abc'[-2:]", "bc"),
    ("[1, 2][0]", 1), ("{'a': {'b': 7}}.a.b", 7), ("trigger.data.nothing", None), ("(params).limit", 8),
    ("params.names[1:9][0]", "a"), ("{'if': 1}.if", 1), ("{'in': {'not': 2}}.in.not", 2),
    ("(nodes.list.rows|first).n", 1), ("nodes.list.rows|first", {"n": 1, "k": "b", "ok": True}),
]  # fmt: skip
ARITHMETIC = [
    ("1 + 2 * 3", 7), ("(1 + 2) * 3", 9), ("7 - 2 - 1", 4), ("7 / 2", 3.5), ("4 / 2", 2.0), ("7 // 2", 3), ("-7 // 2", -4),
    ("7 % 3", 1), ("-7 % 3", 2), ("7.5 // 2", 3.0), ("2 ** 10", 1024), ("2 ** -1", 0.5), ("(-2) ** 2", 4), ("-(2 ** 2)", -4),
    ("2 * 3 ** 2", 18), ("4.0 ** 0.5", 2.0), ("1 ** 9223372036854775807", 1), ("- - 3", 3), ("+3", 3), ("1 - -1", 2),
    ("'a' + 'b'", "ab"), ("[1] + [2]", [1, 2]), ("'ab' * 2", "abab"), ("2 * 'ab'", "abab"), ("'a' * -1", ""),
    ("9223372036854775806 + 1", 2**63 - 1), ("0.1 + 0.2", 0.1 + 0.2),
]  # fmt: skip
TEXTS = [
    ("'a' ~ 1", "a1"), ("1 ~ null ~ true", "1nulltrue"), ("'a' ~ [1, 'b'] ~ {'c': 1.0}", 'a[1,"b"]{"c":1.0}'),
    ("1 ~ 2 * 3", "16"), ("'' ~ 1.0", "1.0"),
]  # fmt: skip
COMPARISONS = [
    ("1 < 2", True), ("2 <= 2", True), ("3 > 4", False), ("3 >= 3", True), ("1 == 1.0", True), ("1 != 2", True),
    ("'a' < 'b'", True), ("1 < 2 < 3", True), ("1 < 3 < 2", False), ("3 > 2 == 2", True), ("null == null", True),
    ("1 == null", False), ("'a' != null", True), ("[1, [2]] == [1.0, [2]]", True), ("[1] == [true]", False),
    ("{'a': 1, 'b': 2} == {'b': 2, 'a': 1}", True), ("[1] == ['1']", False), ("true == true", True),
    ("trigger.data.celsius > 8", True), ("trigger.data.celsius > params.limit", True), ("params.limit < trigger.data.celsius", True),
    ("trigger.data.nothing == null", True), ("1 in [1, 2]", True), ("'1' in [1, 2]", False), ("3 not in [1, 2]", True),
    ("'a' in {'a': 1}", True), ("'rid' in trigger.data.device", True), ("null in [null]", True), ("true in [1]", False),
    ("not 1 in [2]", True), ("9007199254740993 == 9007199254740992.0", False),
]  # fmt: skip
LOGIC = [
    ("true and false", False), ("true && true", True), ("false || true", True), ("!true", False), ("not false", True),
    ("1 and 'a'", "a"), ("0 or 'b'", "b"), ("'' or null or 3", 3), ("null and 1 / trigger.data.zero", None),
    ("true or 1 / trigger.data.zero", True), ("not []", True), ("not 'a' and true", False), ("not 1 == 2", True),
    ("true or false and false", True), ("1 if true else 2", 1), ("1 if '' else 2", 2), ("'a' if 0 else 'b' if 0 else 'c'", "c"),
    ("1 if true else 1 / trigger.data.zero", 1), ("trigger.data.flag and trigger.data.celsius > 8 and 'x'", "x"),
    ("{} or [] or 0.0 or 'last'", "last"),
]  # fmt: skip
UNDEFINED = [
    ("nodes.triage.nope|default(1)", 1), ("nope.a.b[0].c|default('x')", "x"), ("nodes.alert.a|d", ""),
    ("nodes.text.a|default(1)", 1), ("trigger.data.nothing.a|default(1)", 1), ("trigger.data.nothing|default(1)", None),
    ("trigger.data.nothing|default(1, true)", 1), ("trigger.data.empty|default('x', boolean=true)", "x"),
    ("params.limit|default(1)", 8), ("a.b|default(c.d)|default(3)", 3), ("-a.b|default(3)", 3), ("params.names[9]|default('z')", "z"),
    ("[]|first|default(0)", 0), ("a.b|first|default(0)", 0), ("[]|max|default(0)", 0), ("(a.b)|default(2)", 2),
    ("(a.b if true else 1)|default(2)", 2), ("nodes.triage is defined", True), ("nodes.nope is defined", False),
    ("nodes.nope.a[0] is undefined", True), ("nodes.nope is not defined", True), ("trigger.data.nothing is defined", True),
    ("nodes.nope is defined and nodes.nope.x > 1", False), ("params.names[execution.attempt + 5] is defined", False),
    ("{'a': 1}|attr('b')|default(5)", 5), ("params.names['x'] is defined", False), ("params[0] is defined", False),
]  # fmt: skip
TESTS = [
    ("1 is number", True), ("1 is integer", True), ("1.0 is integer", False), ("1.0 is float", True), ("true is number", False),
    ("true is boolean", True), ("'a' is string", True), ("[] is list", True), ("[] is sequence", True), ("{} is object", True),
    ("{} is mapping", True), ("null is none", True), ("null is not none", False), ("1 is not null", True), ("0 is false", False),
    ("2 is even", True), ("3 is odd", True), ("-3 is odd", True), ("9 is divisibleby(3)", True), ("9 is divisibleby 4", False),
    ("'a' is in ['a']", True), ("'a' is not in ['a']", False), ("1 is eq 1", True), ("1 is ne 1", False),
    ("'' is empty", True), ("'a' is iterable", True), ("'ab' is startingwith 'a'", True), ("2 is gt 1 and 1 is lt 2", True),
    ("2 is ge 2 and 2 is le 2", True), ("'A' is upper and 'a' is lower", True), ("'ab' is endingwith('b')", True),
]  # fmt: skip
FILTERS = [
    ("'a b'|upper", "A B"), ("'É'|lower", "é"), ("'a b'|title", "A B"), ("'aBC'|capitalize", "Abc"), ("' a '|trim", "a"),
    ("'xax'|trim('x')", "a"), ("'aaa'|replace('a', 'b')", "bbb"), ("'aaa'|replace('a', 'b', 2)", "bba"),
    ("'ab'|replace('', '-')", "-a-b-"), ("'a,b,c'|split(',', 1)", ["a", "b,c"]), ("' a  b '|split", ["a", "b"]),
    ("[1, null, 'a', [2]]|join('-')", "1-null-a-[2]"), ("nodes.list.rows|join(',', attribute='n')", "1,3,2"),
    ("[]|join", ""), ("[1, 2]|length", 2), ("{'a': 1}|count", 1), ("'äb'|length", 2), ("'abc'|first", "a"), ("[1, 2]|last", 2),
    ("[3, 1, 2]|sort", [1, 2, 3]), ("[1, 2.5]|sort(reverse=true)", [2.5, 1]), ("params.names|sort", ["a", "b", "C"]),
    ("params.names|sort(case_sensitive=true)", ["C", "a", "b"]), ("nodes.list.rows|sort(attribute='n')|map(attribute='n')", [1, 2, 3]),
    ("[1, 2]|reverse", [2, 1]), ("'ab'|reverse", "ba"), ("[1, 1.0, true, 'a', 'A', null, null]|unique", [1, True, "a", None]),
    ("['a', 'A']|unique(true)", ["a", "A"]), ("[{'a': 1, 'b': 2}, {'b': 2, 'a': 1}]|unique|length", 1),
    ("nodes.list.rows|unique(attribute='k')|map(attribute='n')", [1, 3]), ("[1, 2.5]|sum", 3.5), ("[]|sum", 0), ("[1]|sum(start=10)", 11),
    ("nodes.list.rows|sum('n')", 6), ("[2, 1]|min", 1), ("['b', 'A']|min", "A"), ("(nodes.list.rows|max(attribute='n')).k", "a"),
    ("nodes.list.rows|map(attribute='n')", [1, 3, 2]), ("['a']|map('upper')", ["A"]), ("[1.26]|map('round', 1)", [1.3]),
    ("[{'a': {'b': [5]}}]|map(attribute='a.b.0')", [5]), ("[{}]|map(attribute='a', default=0)", [0]), ("['a']|map('replace', 'a', 'b')", ["b"]),
    ("[1, 2, 3]|select('odd')", [1, 3]), ("[0, 1]|select", [1]), ("[0, 1]|reject", [0]), ("[1, 2, 3]|reject('odd')", [2]),
    ("[1, 2, 3]|select('in', [1, 2])", [1, 2]), ("[1, 5]|select('>', params.limit - 5)", [5]),
    ("nodes.list.rows|selectattr('k', '==', 'b')|map(attribute='n')", [1, 2]), ("nodes.list.rows|selectattr('ok', 'defined')|length", 2),
    ("nodes.list.rows|rejectattr('ok', 'defined')|map(attribute='n')", [3]), ("nodes.list.rows|selectattr('n')|length", 3),
    ("nodes.list.rows|groupby('k')|map('first')", ["a", "b"]), ("[1, 2, 3]|batch(2)", [[1, 2], [3]]), ("[1, 2, 3]|batch(2, null)", [[1, 2], [3, None]]),
    ("[1, 2, 3, 4, 5]|slice(2)", [[1, 2, 3], [4, 5]]), ("[1, 2, 3]|slice(2, 0)", [[1, 2], [3, 0]]), ("{'a': 1}|items", [["a", 1]]),
    ("{'b': 1, 'A': 2}|dictsort", [["A", 2], ["b", 1]]), ("{'b': 1, 'a': 2}|dictsort(by='value')", [["b", 1], ["a", 2]]),
    ("{'a': 1}|keys", ["a"]), ("{'a': 1}|values", [1]), ("{'a': 1}|items|dict", {"a": 1}), ("{'a': {'b': 1}}|merge({'a': {'c': 2}})", {"a": {"c": 2}}),
    ("{'a': {'b': 1}}|merge({'a': {'c': 2}}, deep=true)", {"a": {"b": 1, "c": 2}}), ("[[1], 2]|flatten", [1, 2]), ("{'a': 1}|list", ["a"]),
    ("-1|abs", 1), ("-1.5|abs", 1.5), ("2.5|round", 2.0), ("7|round", 7), ("7.123|round(2)", 7.12), ("7.1|round(0, 'ceil')", 8.0),
    ("7.19|round(1, 'floor')", 7.1), ("1234|round(-2)", 1200), ("'7'|int", 7), ("'7.9'|int", 7), ("7.9|int", 7), ("-7.9|int", -7), ("true|int", 1),
    ("'x'|int(0)", 0), ("'x'|int(default=null)", None), ("'7.5'|float", 7.5), ("3|float", 3.0), ("'x'|float(1.5)", 1.5), ("' 7 '|int", 7),
    ("7.0|string", "7.0"), ("null|string", "null"), ("'off'|bool", False), ("2|bool", True), ("null|bool", False),
    ("{'a': 'é'}|tojson", '{"a":"é"}'), ("[1]|tojson(2)", "[\n  1\n]"), ("'{\"a\": [1]}'|fromjson", {"a": [1]}), ("'é'|b64encode", "w6k="),
    ("'w6k='|b64decode", "é"), ("'a b/ä'|urlencode", "a%20b%2F%C3%A4"), ("{'a': 1, 'b': 'x&y'}|urlencode", "a=1&b=x%26y"), ("'ab'|regex_match('a')", False),
    ("'ab'|regex_match('a.')", True), ("'AB'|regex_search('b', ignorecase=true)", True), ("'a1b2'|regex_findall('[0-9]')", ["1", "2"]),
    ("'a1b2'|regex_findall('([a-z])([0-9])')", [["a", "1"], ["b", "2"]]), (r"'äb äb'|regex_replace('(ä)(b)', '\2\1')", "bä bä"), ("'abc'|regex_replace('x*', '-')", "-a-b-c-"),
    ("1795256100|time", "2026-11-21T10:15:00.000000Z"), ("'2026-11-21T10:15:00'|time('1h30m')", "2026-11-21T11:45:00.000000Z"),
    ("'500ms'|duration", 0.5), ("'-1d'|duration", -86400), ("90|duration", 90), ("(now()|timestamp) - (now()|time('-1h')|timestamp)", 3600),
    ("now()|format_time('%H:%M %Z', 'Europe/Berlin')", "11:15 CET"), ("'abc def'|truncate(5)", "abc…"), ("'abcdef'|truncate(3, true, '')", "abc"),
    ("'abc'|truncate(3)", "abc"), ("'a\n\nb'|indent(2, true)", "  a\n\n  b"), ("'a b'|wordcount", 2), ("1234.5|format_number", "1,234"),
    ("1234.5|format_number(2, '.', ',')", "1.234,50"), ("-0.5|format_number(1)", "-0.5"), ("'a'|hash|length", 64), ("'a'|center(3)", " a "),
    ("{'a': 1, 'b': 2}|pick('b')", {"b": 2}), ("{'a': 1, 'b': 2}|omit('b')", {"a": 1}), ("[null, 0]|compact", [0]), ("'a'|quote", '"a"'),
    ("1 + 2|abs * 2", 5), ("'a'|upper ~ 'b'|upper", "AB"), ("[1,2]|sum|string|length", 1), ("'1,2'|split(',')|map('int')|sum", 3),
    ("'5'|int(default=0) + 1", 6), ("'a\nb'|lines", ["a", "b"]), ("'abc'|startswith('a') and 'abc'|endswith('c')", True),
]  # fmt: skip
FUNCTIONS = [
    ("range(3)", [0, 1, 2]), ("range(1, 10, 4)", [1, 5, 9]), ("range(3, 0, -1)", [3, 2, 1]), ("range(5, 1)", []), ("min(2, 1.5)", 1.5), ("max([1, 3])", 3),
    ("max('a', 'B')", "a"), ("len('abc')", 3), ("abs(-2)", 2), ("round(2.345, 2)", 2.35), ("sum([1])", 1), ("int('3')", 3), ("float(3)", 3.0),
    ("now()", "2026-11-21T10:15:00.000000Z"), ("random() == random()", False), ("uuid()|length", 36), ("uuid() != uuid()", True), ("0 <= random() < 1", True),
    ("range(stop=3, start=1)", [1, 2]),
]  # fmt: skip
ALL = [*LITERALS, *PATHS, *ARITHMETIC, *TEXTS, *COMPARISONS, *LOGIC, *UNDEFINED, *TESTS, *FILTERS, *FUNCTIONS]


@pytest.mark.parametrize(("source", "expected"), ALL, ids=[source for source, _ in ALL])
def test_expression_gives(source: str, expected: Json, evaluate: Callable[[str], Json]) -> None:
    result = evaluate(source)
    assert result == expected
    assert type(result) is type(expected)


def test_random_and_uuid_are_the_same_when_evaluated_again(evaluate: Callable[[str], Json]) -> None:
    assert evaluate("[random(), uuid(), random()]") == evaluate("[random(), uuid(), random()]")

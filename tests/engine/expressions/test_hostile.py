# ruff: noqa: E501 - a table reads by its lines
"""Sources and values that mean harm: each ends at once, in an error or in plain data."""

import time

import pytest

from engine.expressions import ExpressionError, Scope, compile_expression, compile_text, compile_tree
from engine.values import Json

# The limit is 50 ms where nothing else runs; a busy machine gets ten times as much.
SECONDS = 0.5
BIG = "a" * 1_000_000
VALUES: dict[str, Json] = {
    "x": {"pop": 1, "d": {"k": "v"}, "text": "aaa", "rows": [{"n": n} for n in range(1000)], "big": BIG},
    "deep": [],
}
inner = VALUES["deep"]
for _ in range(500):
    inner.append([])
    inner = inner[0]

ESCAPES = [
    "''.__class__", "''.__class__.__mro__[1].__subclasses__()", "x.__class__", "x['__class__']", "x|attr('__class__')", "().__class__", "[].append(1)",
    "x.pop('d')", "x['po' ~ 'p']('d')", "x.d.clear()", "x.items()", "'%s'.format(x)", "'{0.__class__}'.format(x)", "lipsum.__globals__", "cycler.__init__",
    "self", "self._TemplateReference__context", "namespace(a=1)", "joiner()", "config", "request", "url_for", "get_flashed_messages()", "dict(a=1)",
    "import('os')", "__import__('os')", "open('/etc/passwd')", "eval('1')", "exec('1')", "lambda: 1", "[y for y in x]", "(y for y in x)", "x := 1",
    "x.d.k.__len__()", "x|map(attribute='__class__')|list", "[x]|map(attribute='__class__')", "[x]|selectattr('__class__')", "x|items|map('__class__')",
    "[x]|groupby('__class__')", "[x]|sort(attribute='__class__')", "jsonpath('$.__class__', x)", "jsonpath('$..__class__[*]', x).a", "f'{x}'", "b'a'", "x if x",
    "print(x)", "getattr(x, 'd')", "x|string.__class__", "nodes.__class__", "nodes['__class__'].a", "$x.__class__", "`id`", "x;x", "1 .real", "1.0.real",
    "true.real", "x\x00", "${x}", "#{x}", "<%= x %>", "{{ x }}", "x|attr('d')|attr('__class__')", "x.d['__getitem__']('k')", "range.__class__", "range",
]  # fmt: skip
BOMBS = [
    "'a' * 10 ** 9", "'a' * 9223372036854775807", "x.big * 100", "9 ** 9 ** 9", "(9 ** 9) ** 9", "9 ** 99999999999", "1.5 ** 99999999", "range(10 ** 9)", "range(9223372036854775807)",
    "range(-9223372036854775807, 9223372036854775807)", "range(100000)|join('a' * 1000)", "x.big|replace('a', x.big)", "x.big|replace('', x.big)", "x.big ~ x.big ~ x.big",
    "range(100000)|map('string')|map('replace', '0', 'a' * 100000)", "x.big|indent(1000000)", "'a'|indent(10 ** 12)", "x.big|replace('a', '\n')|indent(1000)", "'a'|center(10 ** 12)",
    "[1]|batch(10 ** 12, 'a')", "[1]|slice(10 ** 12)", "[range(100000), range(100000), range(100000), range(100000)]|tojson", "now()|format_time('%1000000000d')",
    "now()|format_time('%' * 199)", "1|format_number(10 ** 9)", "'%1000000000d'|format(1)", "'%1000000000d' % 1", "'1' * 5000|int", "('9' * 400)|int", "('9' * 30)|int", "'1e999999999'|int", "'1e999999999'|float",
    "range(100000)|map('in', range(100000))", "range(100000)|select('in', range(100000))", "range(100000)|map('regex_search', 'a')", "range(100000)|unique|sort|reverse|unique|sort|sum",
    "x.big|list", "x.big|split('a')", "x.big|trim(x.big)", "x.big|wordcount", "x.big|upper|lower|title|upper|lower|title|upper|lower|title", "x.big|urlencode", "x.big|b64encode|b64encode|b64encode",
    "x.big|fromjson", "('[' * 100000)|fromjson", "('[' * 60)|fromjson", "1|time(1e308)", "1e308|time", "9223372036854775807|time", "'999999999999999w'|duration|time", "1|round(10 ** 9)", "1.5|round(-10 ** 9)",
    "1e308|round(300)", "1.7e308|round(-308)", "deep == deep", "deep|tojson", "deep|string", "[deep]|unique", "'' ~ deep", "jsonpath('$..*', deep)", "jsonpath('$..a..a..a..a..a', deep)", "jsonpath('$' ~ '..*' * 200, x.rows)",
    "jsonpath('$..*..*..*', x.rows)", "x.rows|map('tojson')|join * 1000", "[x.big, x.big, x.big, x.big, x.big, x.big, x.big, x.big, x.big]", "x.rows|tojson(16)", "x.big|truncate(-5)", "uuid() * 100000",
    "x.big|regex_search('(a+)+$')", "x.big|regex_search('(a|a)*b')", "x.big|regex_match('(a*)*b')", "x.big|regex_findall('a')", "x.big|regex_findall('a.*b|a')", "x.big|regex_replace('', 'aaaa')", "x.big|regex_replace('a', 'a' * 1000)",
    "x.big|regex_search('((a|b|ab|ba){1,50}){1,19}x')", "x.big|regex_search('(a|b)*a(a|b){20}c')", "x.big|regex_search('(((a{100}){100}){100}){100}')", "x.big|regex_search('a{1000}' * 100)", "'a'|regex_search('(' * 10000)",
    "'a'|regex_search('a' * 100000)", r"'a'|regex_replace('(a)', '\9')", "x.big|hash", "x.big == x.big ~ 'a'", "x.big in x.big", "('a' * 500000 ~ 'b') in x.big", "x.big < x.big", "x.rows|groupby('n')|map('last')|map('length')|sum",
    "{% for a in b %}", "x[" * 1000, "(" * 100_000, "[" * 100_000, "{'a':" * 50_000, "-" * 100_000 + "1", "not " * 10_000 + "1", "!" * 100_000 + "1", "1" + "+1" * 100_000, "1" + "+1" * 1900, "x" + "|upper" * 100_000, "x" + "|abs" * 1900,
    "x" + ".a" * 100_000, "x" + ".a" * 1900, "x" + "[0]" * 1300, "x" + "[x]" * 1300, "1 if 1 else " * 100_000 + "1", "1 if 1 else " * 900 + "1", "a" * 300_000, "'" + "a" * 250_000, "1" * 200_000, "1." + "1" * 200_000, "1e" + "9" * 1000, " " * 200_000,
    "'a'" * 3000, "x is defined" * 1000, "((((1|abs)|abs)|abs)|abs)" * 300, "((" * 30 + "1" + "|abs|abs|abs|abs)|abs|abs|abs|abs)" * 30, "1 < " * 1900 + "1", "1 and " * 1900 + "1", "'a' ~ " * 1900 + "'a'", "$a" + "..a" * 1000, "$a" + "[?(@.x" * 60 + ")]" * 60,
    "[" + "x.rows|map('tojson')," * 300 + "]", "[" + "range(100000)," * 300 + "]", "[" + "'a' * 1000000," * 300 + "]", "[" + "1/" * 10 + "0]", "{" + "'a':1," * 600 + "}", "random()" + "~random()" * 900,
]  # fmt: skip
LOOPS = [
    "{% for a in range(100000) %}{% for b in range(100000) %}a{% endfor %}{% endfor %}", "{% for a in range(1000) %}{% for b in range(1000) %}{% for c in range(1000) %}{% endfor %}{% endfor %}{% endfor %}",
    "{% for a in range(50000) %}{{ 'a' * 1000000 }}{% endfor %}", "{% for a in range(50000) %}{{ x.big|upper|length }}{% endfor %}", "{% for a in range(50000) %}{{ x.rows|sort(attribute='n')|length }}{% endfor %}",
    "{% for a in range(50000) %}" + "{{ a + a * a }}" * 300 + "{% endfor %}", "{% for a in range(50000) %}{% if " + "a > 1 and " * 300 + "true %}{% endif %}{% endfor %}", "{% for a in range(20000) %}{{ x.big[1:] }}{% endfor %}",
    "{% if 1 %}" * 10_000, "{% if 1 %}" * 300 + "{% endif %}" * 300, "{% for a in x %}" * 200 + "{% endfor %}" * 200, "{{" * 100_000, "{{ {" * 1000, "{%" * 100_000, "{#" * 100_000, "{% raw %}" * 1000, "{{ 1 }}" * 30_000, "{{ 1 }}" * 1300,
    "{{ x.rows }}" * 900, "{% if 0 %}{% elif 0 %}" + "{% elif 0 %}" * 1000 + "{% endif %}", "{{- -}}" * 1000, "{{ '" * 1000, "{# #}" * 40_000, "{% raw %}{% endraw %}" * 900, "{% for a in x.rows if " + "a.n > 1 or " * 500 + "true %}{% endfor %}",
    "{% for a in range(60000) %}{{ loop.index }}{{ loop.length }}{% endfor %}", "{% for a in range(9000) %}{{ x }}{% endfor %}", "{% for a in range(30000) %}{{ random() }}{{ uuid() }}{% endfor %}",
    "{% for a in range(30000) %}{{ now()|format_time('%H', 'Europe/Berlin') }}{% endfor %}", "{% for a in range(30000) %}{{ x.text|regex_replace('a', 'b') }}{% endfor %}", "{% for a in range(30000) %}{{ x.rows == x.rows }}{% endfor %}",
]  # fmt: skip


def finish(source: str, *, text: bool = False) -> None:
    message = ""
    started = time.thread_time()  # what it computes: others who need the processor do not count
    try:
        program = compile_text(source) if text else compile_expression(source)
        program.evaluate(Scope(VALUES, now=0, seed="s"))
    except ExpressionError as error:
        message = str(error)
    assert time.thread_time() - started < SECONDS
    assert len(message) < 2000


@pytest.mark.parametrize("source", ESCAPES)
def test_nothing_but_data_is_reached(source: str) -> None:
    with pytest.raises(ExpressionError):
        compile_expression(source).evaluate(Scope(VALUES, now=0, seed="s"))


@pytest.mark.parametrize("source", BOMBS, ids=lambda source: f"{source[:50]}…{len(source)}")
def test_a_bomb_ends_at_once(source: str) -> None:
    finish(source)


@pytest.mark.parametrize("source", LOOPS, ids=lambda source: f"{source[:50]}…{len(source)}")
def test_a_loop_ends_at_once(source: str) -> None:
    finish(source, text=True)


def test_deep_nesting_is_an_error() -> None:
    for source in (
        "(" * 1999,
        "(" * 100_000 + ")" * 100_000,
        "[" * 70 + "]" * 70,
        "x[" * 100 + "0" + "]" * 100,
        "- " * 70 + "1",
    ):
        with pytest.raises(ExpressionError):
            compile_expression(source)
    tree: Json = "x"
    for _ in range(500):
        tree = [tree]
    with pytest.raises(ExpressionError, match="nested deeper than 64 levels"):
        compile_tree(tree)


def test_values_of_the_scope_that_are_no_json_are_never_touched() -> None:
    class Trap(dict[str, Json]):
        def __getitem__(self, key: str) -> Json:
            raise AssertionError("touched")

        get = keys = items = values = __len__ = __iter__ = __bool__ = __eq__ = __contains__ = __getitem__  # type: ignore[assignment]
        __hash__ = None  # type: ignore[assignment]

    scope = Scope({"x": Trap(), "y": {"z": Trap()}}, now=0, seed="")
    for source in ("x.a", "x['a']", "not x", "x == 1", "x == x", "x|length", "x|tojson", "'' ~ x", "1 in x", "y.z.a", "[x]|unique", "x|items", "x is empty", "[x]|sort", "y|tojson", "x < x", "x + x", "$y.z", "jsonpath('$.z.a', y)", "x|default(1)|upper"):  # fmt: skip
        with pytest.raises(ExpressionError):
            compile_expression(source).evaluate(scope)

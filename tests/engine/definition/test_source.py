"""Bytes become plain data: what each format means, and where its keys stand."""

import pytest

from engine.definition import InvalidWorkflow, canonical, parse_tree
from engine.values import Json


def read(text: str, filename: str = "w.yaml") -> Json:
    return parse_tree(text.encode(), filename).tree


def refusal(text: str | bytes, filename: str = "w.yaml") -> str:
    with pytest.raises(InvalidWorkflow) as caught:
        parse_tree(text if isinstance(text, bytes) else text.encode(), filename)
    (problem,) = caught.value.problems
    return str(problem)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("on", "on"), ("yes", "yes"), ("no", "no"), ("12:30", "12:30"), ("2026-01-01", "2026-01-01"),
        ("1_000", "1_000"), ("0x1f", 31), ("0o17", 15), ("017", 17), ("+5", 5), ("-0", 0), ("1e3", 1000.0), (".5", 0.5),
        ("true", True), ("False", False), ("~", None), ("null", None), ("", None), ("'5'", "5"), ("!!str 5", "5"),
        ("!!float 5", 5.0), ("! 5", "5"), ("1.2.3", "1.2.3"), ("-", "-x"), ("9223372036854775807", 2**63 - 1),
        ('"\\ud83d\\ude00"', "\U0001f600"), ("=", "="), ("nan", "nan"), ("0x", "0x"), (".", "."),
    ],
)  # fmt: skip
def test_scalars_follow_the_core_schema_of_yaml_1_2(written: str, value: Json) -> None:
    written = "-x" if written == "-" else written
    read_value = read(f"a: {written}\n")["a"]
    assert (read_value, type(read_value)) == (value, type(value))


def test_on_is_a_key_like_any_other() -> None:
    assert read("on: 1\nyes: 2\n12:30: 3\n") == {"on": 1, "yes": 2, "12:30": 3}


def test_yaml_knows_the_line_of_every_key_and_item() -> None:
    source = parse_tree(b"# first\na: 1\nb:\n  c: [x,\n    {d: 1}]\n", "w.yaml")
    assert source.tree == {"a": 1, "b": {"c": ["x", {"d": 1}]}}
    lines = {("a",): 2, ("b",): 3, ("b", "c"): 4, ("b", "c", 0): 4, ("b", "c", 1): 5, ("b", "c", 1, "d"): 5}
    assert lines.items() <= source.lines.items()


def test_json_knows_the_line_of_every_key_and_item() -> None:
    source = parse_tree(b'{\n"a": 1,\n"b": {"c": ["},\\"",\n {"d": []}]}}', "w.json")
    assert source.tree == {"a": 1, "b": {"c": ['},"', {"d": []}]}}
    assert source.lines == {
        (): 1, ("a",): 2, ("b",): 3, ("b", "c"): 3, ("b", "c", 0): 3, ("b", "c", 1): 4, ("b", "c", 1, "d"): 4,
    }  # fmt: skip


def test_toml_knows_the_line_of_most_keys() -> None:
    source = parse_tree(b'name = "x"\n[nodes.a]\ntype = "log"\n[[triggers]]\n[[triggers]]\ncron.x = 1\n', "w.toml")
    assert source.tree["triggers"] == [{}, {"cron": {"x": 1}}]
    lines = {("name",): 1, ("nodes", "a"): 2, ("nodes", "a", "type"): 3, ("triggers", 1, "cron", "x"): 6}
    assert lines.items() <= source.lines.items()


def test_toml_dates_are_strings() -> None:
    assert read("a = 2026-01-01\nb = 2026-01-01T10:00:00Z\nc = 10:00:00", "w.toml") == {
        "a": "2026-01-01", "b": "2026-01-01T10:00:00+00:00", "c": "10:00:00",
    }  # fmt: skip


def test_a_file_without_ending_is_yaml() -> None:
    assert read("a: 1", "<stdin>") == {"a": 1}


def test_an_alias_stands_for_its_anchor_and_a_merge_gives_way() -> None:
    text = "base: &base {type: log, level: info}\na:\n  <<: *base\n  level: error\nc: *base\n"
    text += "b: {<<: [{x: 1}, {x: 2, y: 3}]}\n"
    tree = read(text)
    assert tree["a"] == {"type": "log", "level": "error"}
    assert tree["b"] == {"x": 1, "y": 3}
    assert tree["c"] == tree["base"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\na: 2", "w.yaml:2: the key a is there twice (remove or rename one of them)"),
        ("a: !!python/object:os.system x", "w.yaml:1: the tag !!python/object:os.system does not fit here"),
        ("a: !!int x", "w.yaml:1: the tag !!int does not fit here"),
        ("a: !secret x", "w.yaml:1: the tag !secret does not fit here"),
        ("a: *b", "w.yaml:1: the alias *b has no anchor &b before it"),
        ("a: &a [*a]", "w.yaml:1: the alias *a stands inside what it refers to"),
        ("b: &b x\n*b : 1", "w.yaml:2: an alias is used as a key (write the key out)"),
        ("? [a]\n: 1", "w.yaml:1: a list or object is used as a key (keys are plain words)"),
        ("a: {<<: 5}", "w.yaml:1: << merges an object, or a list of objects"),
        ("a: 1\n---\nb: 1", "w.yaml:2: a second document begins here (one file holds one workflow)"),
        ("%YAML 1.1\n---\na: 1", "w.yaml:2: only YAML 1.2 is read"),
        ("a: 9223372036854775808", "w.yaml:1: the integer 9223372036854775808 does not fit into 64 bits"),
        ("a: .inf", "w.yaml:1: .inf is not a number that JSON can hold"),
        ("a: 1e999", "w.yaml:1: 1e999 is not a number that JSON can hold"),
        ('a: "\\ud800"', "w.yaml:1: half a character (a lone surrogate)"),
        ("a:\n\tb: 1", "(indent with spaces, not tabs)"),
        ("", "w.yaml: the file is empty"),
        ("# only this", "w.yaml: the file is empty"),
        ("a: \x00", "w.yaml:1: a NUL character (a workflow file is text)"),
        (b"a: 1\nb: \xff", "w.yaml:2: this is not UTF-8 text (save the file as UTF-8)"),
        (b"\xff\xfea\x00", "w.yaml:1: this is not UTF-8 text"),
    ],
)  # fmt: skip
def test_what_is_not_plain_data_is_refused_with_its_line(text: str | bytes, said: str) -> None:
    assert said in refusal(text)


def test_a_byte_order_mark_is_ignored() -> None:
    assert parse_tree(b"\xef\xbb\xbfa: 1", "w.yaml").tree == {"a": 1}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a": 1,\n"a": 2}', "w.json:2: the key a is there twice"),
        ('{"a": 1,\n"b" 2}', "w.json:2: not valid JSON"),
        ('{"a": 1, // no\n}', "w.json:1: not valid JSON"),
        ("{'a': 1}", "w.json:1: not valid JSON"),
        (" ", "w.json: the file is empty"),
    ],
)
def test_json_is_read_strictly(text: str, said: str) -> None:
    assert said in refusal(text, "w.json")


def test_toml_mistakes_have_their_line() -> None:
    assert "w.toml:2: not valid TOML" in refusal('a = 1\nb = "', "w.toml")
    assert "w.toml:2: not valid TOML" in refusal("a = 1\na = 2", "w.toml")


def test_another_ending_is_refused() -> None:
    assert refusal("a: 1", "w.ini") == ("w.ini: a workflow file ends in .yaml, .yml, .json or .toml (rename the file)")


def test_the_three_formats_give_the_same_tree() -> None:
    yaml = read("name: w\nnodes:\n  a: {type: log, message: hi, n: 1.5}\n")
    json = read('{"name": "w", "nodes": {"a": {"type": "log", "message": "hi", "n": 1.5}}}', "w.json")
    toml = read('name = "w"\n[nodes.a]\ntype = "log"\nmessage = "hi"\nn = 1.5', "w.toml")
    assert canonical(yaml) == canonical(json) == canonical(toml)

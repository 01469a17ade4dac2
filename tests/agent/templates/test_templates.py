"""The built-in templates give valid workflows, which say where they come from."""

import pytest

from agent.node_types import node_types
from agent.templates.catalogue import UnknownTemplate, builtin_names, find_template, read_builtin
from agent.templates.making import changes, is_edited, make, read_origin
from engine.definition import load_workflow, parse_tree
from engine.definition.template import read_template
from engine.values import Json

GIVEN: dict[str, dict[str, Json]] = {
    "approval": {"subject": "requests.new"},
    "debounce-sensor": {"subject": "doors.*.state"},
    "file-import": {"subject": "rows"},
    "local-triage": {"subject": "sensors.*.temperature", "limit": 8},
    "nightly-report": {"urls": ["https://a.example", "https://b.example"], "report_to": "https://c.example"},
    "poll-api": {"url": "https://a.example/x"},
    "threshold-alarm": {"subject": "sensors.*.temperature", "limit": 8},
}
TYPES = node_types(allow_shell=False)


def test_all_are_tested() -> None:
    assert builtin_names() == sorted(GIVEN)


@pytest.mark.parametrize("name", sorted(GIVEN))
def test_a_template_gives_a_valid_workflow(name: str) -> None:
    template = read_builtin(name)
    assert (template.name, bool(template.description)) == (name, True)
    assert all(param.description for param in template.params.values())
    assert {key for key, param in template.params.items() if param.required} == set(GIVEN[name])
    made = make(template, name, GIVEN[name] | {"name": "mine"}, types=TYPES)
    workflow = load_workflow(made.text.encode(), types=TYPES, complete=False)
    assert workflow.name == made.workflow == "mine"
    assert workflow.warnings == ()
    assert workflow.triggers
    assert "template" not in made.text.partition("\n\n")[2]
    assert made.text.count("#") > template.text.count("#"), "its comments stay"


@pytest.mark.parametrize("name", sorted(GIVEN))
def test_a_made_file_says_how_it_is_made_again(name: str) -> None:
    template = read_builtin(name)
    made = make(template, name, GIVEN[name], types=TYPES)
    origin = read_origin(made.text)
    assert origin is not None
    assert (origin.name, origin.version, origin.source) == (name, template.version, name)
    assert not is_edited(made.text, origin)
    assert is_edited(made.text + "# mine\n", origin)
    again = make(find_template(origin.source), origin.source, origin.params, types=TYPES)
    assert again.text == made.text
    assert changes("f", made.text, again.text) == ""


def test_strange_values_stay_within_their_comment() -> None:
    text = b"template: {name: t, version: 1, params: {x: {type: string}}}\nname: w\n" + (
        b"nodes: {a: {type: log, message: '{{ template.x }}'}}\n"
    )
    for value in ("a\nb", "a\r# b", "a\x85name: b", "a\u2028b\u2029c", "\u00e9\U0001f525", "#", ""):
        made = make(read_template(text, "t.yaml"), "t.yaml", {"x": value}, types=TYPES)
        assert parse_tree(made.text.encode(), "w.yaml").tree["nodes"]["a"]["message"] == value
        origin = read_origin(made.text)
        assert origin is not None
        assert origin.params == {"x": value}


@pytest.mark.parametrize("filename", ["t.json", "t.toml"])
def test_templates_may_be_json_or_toml(filename: str) -> None:
    source = {
        "t.json": b'{"template": {"name": "t", "version": "1"}, "name": "w", '
        b'"nodes": {"a": {"type": "log", "message": 1}}}',
        "t.toml": b'name = "w"\n[template]\nname = "t"\nversion = 2\n[nodes.a]\ntype = "log"\nmessage = "x"\n',
    }[filename]
    made = make(read_template(source, filename), filename, {}, types=TYPES)
    assert load_workflow(made.text.encode(), types=TYPES).name == "w"


@pytest.mark.parametrize("text", ["", "name: w", "# template: {", '# template: {"name": 5}', "# template: []"])
def test_other_files_have_no_origin(text: str) -> None:
    assert read_origin(text) is None


def test_an_unknown_template_is_told() -> None:
    with pytest.raises(UnknownTemplate, match=r"there is no template aproval; did you mean approval\?"):
        find_template("aproval")
    with pytest.raises(UnknownTemplate, match="a file is named by its path"):
        find_template("zzz")
    with pytest.raises(FileNotFoundError):
        find_template("zzz.yaml")

"""`ganglion new`: from a template, and made again from a newer one."""

import os
from pathlib import Path

TEMPLATE = """\
template:
  name: greeter
  version: "{version}"
  params:
    name: {{type: string, default: greeter}}
    whom: {{type: string, required: true, description: Who is greeted.}}
    times: {{type: integer, required: true}}
name: "{{{{ template.name }}}}"
nodes:
  a: {{type: log, message: "{greeting} {{{{ template.whom }}}} {{{{ template.times }}}}"}}
outputs: {{whom: "{{{{ template.whom }}}}"}}
"""


def template(shell, version: str = "1.0", greeting: str = "Hello") -> Path:
    path: Path = shell.write("greeter-template.yaml", TEMPLATE.format(version=version, greeting=greeting))
    return path


def test_the_list_shows_templates_and_their_parameters(shell) -> None:
    listed = shell("new", "--list").out
    assert "threshold-alarm@1.0" in listed
    assert "subject*" in listed
    [found] = [one for one in shell("new", "--list", "--json").json["templates"] if one["name"] == "threshold-alarm"]
    assert found["params"]["limit"] == {"type": "number", "required": True, "description": "Above this it is an alarm."}


def test_a_workflow_from_a_built_in_template_is_valid_and_runs(shell) -> None:
    done = shell("new", "hot", "--from", "threshold-alarm", "-p", "subject=s.*", "-p", "limit=30")
    assert (done.code, done.out.split("\n")[0]) == (0, "hot.yaml")
    assert shell("check", "hot.yaml").code == 0
    for value, high in ((31, True), (30, False)):
        ran = shell("run", "hot.yaml", "-d", f'{{"value": {value}}}', "--json").json
        assert ran["outputs"] == {"high": high}
    again = shell("new", "hot", "--from", "threshold-alarm", "-p", "subject=s.*", "-p", "limit=30")
    assert (again.code, "there already" in again.err) == (2, True)


def test_what_a_template_needs_is_told_with_its_kind(shell) -> None:
    done = shell("new", "--from", template(shell))
    assert done.code == 2
    assert done.err == (
        "ganglion: greeter needs values:\nganglion:   -p whom=…  string: Who is greeted.\n"
        "ganglion:   -p times=…  integer\n"
    )
    done = shell("new", "--from", template(shell), "-p", "whom=Ann", "-p", "times=many")
    assert done.err == 'ganglion: greeter-template.yaml: params.times: expected a whole number, got "many"\n'.replace(
        "greeter-template.yaml", str(template(shell))
    )
    done = shell("new", "--from", "treshold-alarm")
    assert done.err == "ganglion: there is no template treshold-alarm; did you mean threshold-alarm?\n"
    assert shell("new").code == 2
    assert "no parameter `name`" not in shell("new", "x", "--from", template(shell)).err


def test_on_a_terminal_it_asks(shell) -> None:
    template(shell)
    with shell.on_terminal("new", "--from", "greeter-template.yaml") as (process, person):
        os.write(person, b"Ann\n3\n")
        assert process.wait(30) == 0
    assert 'message: "Hello Ann 3"' in (shell.directory / "greeter.yaml").read_text()


def test_a_newer_template_shows_what_it_would_change(shell) -> None:
    given = ("-p", "whom=Ann", "-p", "times=3")
    assert shell("new", "--from", template(shell), *given, "--json").json == {
        "file": "greeter.yaml", "workflow": "greeter", "template": "greeter", "version": "1.0",
    }  # fmt: skip
    made = shell.directory / "greeter.yaml"
    before = made.read_text()
    assert shell("new", "--update", made).out == f"{made} is what greeter@1.0 gives\n"
    template(shell, "1.1", "Good day")
    done = shell("new", "--update", made)
    assert done.code == 0
    assert '-  a: {type: log, message: "Hello Ann 3"}' in done.out
    assert '+  a: {type: log, message: "Good day Ann 3"}' in done.out
    assert "greeter@1.0 to 1.1, nothing was changed; --write does it" in done.err
    assert made.read_text() == before
    answer = shell("new", "--update", made, "--write", "-p", "times=4", "--json").json
    assert (answer["from"], answer["to"], answer["edited"], answer["written"]) == ("1.0", "1.1", False, True)
    assert "Good day Ann 4" in made.read_text()
    assert shell("new", "--update", made).out.endswith("gives\n")


def test_a_file_that_was_changed_by_hand_is_not_overwritten(shell) -> None:
    shell("new", "--from", template(shell), "-p", "whom=Ann", "-p", "times=3")
    made = shell.directory / "greeter.yaml"
    made.write_text(made.read_text() + "# mine\n")
    template(shell, "1.1", "Good day")
    done = shell("new", "--update", made, "--write")
    assert (done.code, "was changed by hand" in done.err) == (2, True)
    assert made.read_text().endswith("# mine\n")
    done = shell("new", "--update", made)
    assert (done.code, "the difference would undo that" in done.err) == (0, True)
    other = shell.write("other.yaml", "name: x\n")
    assert "does not say which template" in shell("new", "--update", other).err


def test_standard_output_takes_the_file(shell) -> None:
    done = shell("new", "--from", template(shell), "-p", "whom=Ann", "-p", "times=3", "-o", "-")
    assert done.out.startswith("# Made from the template greeter@1.0 with ")
    assert not (shell.directory / "greeter.yaml").exists()

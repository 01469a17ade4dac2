"""A running agent starts workflows on files and on each other's ends; killed and started again, each once."""

import signal

SOURCE = """\
name: source
nodes: {a: {type: transform, data: "{{ trigger.data.level }}"}}
outputs: {level: "{{ nodes.a }}"}
"""
AFTER = """\
name: after
triggers: [{workflow: {name: source, on: [completed, failed], when: event.data.outputs.level|default(9) > 3}}]
nodes: {a: {type: log, message: "{{ trigger.data.status }}"}}
outputs: {level: "{{ trigger.data.outputs.level|default(null) }}"}
"""
FILES = """\
name: files
triggers: [{file: {path: "inbox/*.txt", format: text, settle: 100ms, then: {move: done}}}]
nodes: {a: {type: log, message: "{{ trigger.data.name }}"}}
outputs: {content: "{{ trigger.data.content }}"}
"""


def outputs(agent, workflow: str) -> list[object]:
    found = agent("ps", "-a", "--json").json["executions"]
    ids = [info["execution"] for info in found if info["workflow"] == workflow and info["status"] == "completed"]
    return sorted((agent("show", id, "--json").json["outputs"] for id in ids), key=str)


def test_the_end_of_one_workflow_starts_another(shell, start, until) -> None:
    agent = start()
    for name, text in (("after", AFTER), ("source", SOURCE)):
        done = agent("deploy", shell.write(f"{name}.yaml", text))
        assert done.code == 0, done.err
        assert ("no workflow named source is deployed here" in done.err) == (name == "after")
    for level in (5, 1, 7):
        assert agent("trigger", "source", "-d", f'{{"level": {level}}}').code == 0
    assert agent("trigger", "source", "-d", "{}").code == 0  # fails: there is no level
    until(lambda: len(outputs(agent, "after")) == 3)
    assert outputs(agent, "after") == [{"level": 5}, {"level": 7}, {"level": None}]
    assert "source completed/failed" in agent("workflows").out
    agent.end(signal.SIGKILL)
    agent = start()
    assert agent("trigger", "source", "-d", '{"level": 8}').code == 0
    until(lambda: len(outputs(agent, "after")) == 4)


def test_a_file_starts_a_workflow_once(shell, start, until) -> None:
    agent = start()
    assert agent("deploy", shell.write("files.yaml", FILES)).code == 0
    inbox = agent.data_dir / "files" / "inbox"
    (inbox / "a.txt").write_text("one")
    until(lambda: len(outputs(agent, "files")) == 1)
    agent.end(signal.SIGKILL)
    (inbox / "b.txt").write_text("two")
    agent = start()
    until(lambda: len(outputs(agent, "files")) == 2)
    until(lambda: sorted(path.name for path in inbox.iterdir()) == ["done"])
    assert outputs(agent, "files") == [{"content": "one"}, {"content": "two"}]
    assert sorted(path.name for path in (inbox / "done").iterdir()) == ["a.txt", "b.txt"]


def test_a_file_elsewhere_is_refused_at_deploy(shell, start) -> None:
    agent = start()
    text = FILES.replace("inbox/*.txt", "/etc/*.conf").replace(", then: {move: done}", "")
    done = agent("deploy", shell.write("files.yaml", text))
    assert done.code != 0
    assert "files: /etc/*.conf is not under a directory that this agent watches" in done.err
    assert agent("workflows", "--json").json["definitions"] == []

"""What a workflow keeps, seen and changed from the command line."""

import signal

COUNT = "name: count\nnodes: {n: {type: state, op: incr, key: visits}}\noutputs: '{{ nodes.n }}'\n"


def test_state_is_listed_set_and_deleted_and_survives_a_kill(start, shell) -> None:
    agent = start()
    agent("deploy", shell.write("count.yaml", COUNT))
    assert agent("state", "count").out == "count keeps nothing\n"
    for _ in range(2):
        agent("trigger", "count", "--wait")
    agent.end(signal.SIGKILL)

    agent = start()
    assert agent("state", "count", "visits").out == "2\n"
    assert agent("state", "count", "visits", "--set", "40").out == "visits of count is set\n"
    assert agent("state", "count", "note", "--set", "checked by hand").code == 0
    assert agent("trigger", "count", "--wait", "--json").json["info"]["status"] == "completed"
    listed = agent("state", "count", "--json").json["entries"]
    assert [(entry["key"], entry["value"], entry["revision"]) for entry in listed] == [
        ("note", "checked by hand", 1),
        ("visits", 41, 4),
    ]
    assert agent("state", "count").out.splitlines()[0].split() == ["KEY", "CHANGED", "TIMES", "VALUE"]
    assert agent("state", "count", "note", "--delete").out == "note of count is deleted\n"

    gone = agent("state", "count", "note")
    assert gone.code == 1
    assert "count keeps no note; `ganglion state count` lists its keys" in gone.err
    assert "which key?" in agent("state", "count", "--delete").err
    assert "exclude each other" in agent("state", "count", "visits", "--delete", "--set", "1").err

"""`show`, `ps`, `checkpoints`, `retry`, `fork`: executions on a real agent, as a person sees and steers them."""

import pytest

from tests import warm

pytestmark = pytest.mark.nats

SCAN = """\
name: scan
params: {bad: {type: integer, default: 3}}
nodes:
  scan:
    type: foreach
    items: trigger.data
    on_item_error: continue
    max_failures: 0
    concurrency: 4
    nodes:
      ok: {type: if, condition: item != params.bad}
      boom: {type: fail, needs: ok.else, message: "row {{ item }} is broken", kind: http_503}
    output: "{{ item }}"
  after: {type: transform, data: "{{ nodes.scan|length }}"}
outputs: "{{ nodes.after }}"
"""


@pytest.fixture
def agent(start):
    agent = start()
    agent("deploy", agent.shell.write("scan.yaml", SCAN))
    return agent


def failed(agent) -> str:
    done = agent("trigger", "scan", "-d", "[0,1,2,3]", "--wait", "--json")
    assert done.code == 1
    return done.json["info"]["execution"]


def test_failed_execution_is_understood_at_a_glance(agent) -> None:
    id = failed(agent)
    text = agent("show", id).out
    lines = text.splitlines()

    assert any("scan" in line and "1 failed" in line and "ok" in line for line in lines)
    assert any("[3]" in line and "failed" in line for line in lines)
    assert not any("[1] " in line for line in lines), "completed iterations are counted, not listed"
    assert "scan[3]/boom failed (http_503): row 3 is broken" in text
    assert '  inputs  {"message":"row 3 is broken","kind":"http_503"}' in text
    assert f"the service has a problem of its own: wait or mend it; then `ganglion retry {id}`" in text
    assert "the execution is failing" in text
    assert "\x1b" not in text


def test_one_node_is_shown_in_full_and_the_whole_tree_on_request(agent) -> None:
    id = failed(agent)
    detail = agent("show", id, "--node", "scan[3]/boom").out
    body = agent("show", id, "--node", "scan[3]").out
    tree = agent("show", id, "--all").out

    assert '"message": "row 3 is broken"' in detail
    assert '"item": 3' in body
    assert "[1]" in tree
    whole = agent("show", id, "--json").json
    scan = next(node for node in whole["nodes"] if node["path"] == "scan")
    assert {body["path"] for body in scan["bodies"]} >= {"scan[0]", "scan[3]"}
    assert scan["more"] == 0
    assert agent("show", id, "--node", "scan[9]").code == 1
    assert agent("show", id, "--node", "scan[").code == 2


def test_retry_goes_on_and_follow_tells_how_it_ended(agent) -> None:
    id = failed(agent)
    done = agent("retry", id[:20])
    assert (done.code, "run again" in done.out) == (0, True)
    followed = agent("show", id, "--follow")

    assert followed.code == 1
    assert "retried" in followed.out
    assert agent("retry", id, "--from", "scam").code == 1
    assert "did you mean scan?" in agent("retry", id, "--from", "scam").err


def test_fork_runs_with_other_inputs_from_where_the_other_one_stood(agent) -> None:
    id = failed(agent)
    points = agent("checkpoints", id, "--json").json["checkpoints"]
    assert points[-1]["node"] in ("after", "scan")
    assert "SEQ" in agent("checkpoints", id).out
    done = agent("fork", id, "--from", "scan[3]", "-p", "bad=99", "--wait")

    assert done.code == 0, done.err
    assert f"forked from {id}" in done.out
    assert "outputs 4" in done.out
    again = agent("fork", id, "--at", "0", "-d", "[7]", "--wait", "--json").json
    assert (again["outputs"], again["info"]["forked_from"]) == (1, id)


def test_ps_shows_children_below_their_parents(agent) -> None:
    agent("deploy", agent.shell.write("inner.yaml", "name: inner\nnodes:\n  s: {type: sleep, duration: 1h}\n"))
    outer = "name: outer\nnodes:\n  sub: {type: workflow, workflow: inner}\n"
    agent("deploy", agent.shell.write("outer.yaml", outer))
    parent = agent("trigger", "outer", "--json").json["execution"]

    def child() -> str:
        found = [info for info in agent("ps", "--json").json["executions"] if info["waits_in"] == "s"]
        return found[0]["execution"] if found else ""

    id = next(filter(None, iter(child, None)))
    tree = agent("ps", "--tree").out.splitlines()
    place = next(number for number, line in enumerate(tree) if line.startswith(parent))
    assert tree[place + 1].startswith(f"└ {id}")
    assert "PARENT" in agent("ps").out
    shown = agent("show", parent).out
    assert id in shown
    assert f"`ganglion show {id}` shows how far that one is" in shown
    assert f"parent  {parent}  sub" in agent("show", id).out


def test_completion_knows_ids_and_paths(agent) -> None:
    id = failed(agent)
    shell = agent.shell
    program = "import sys; sys.argv[0] = 'ganglion'; from agent.cli import main; main()"
    environ = shell.environ | {"_GANGLION_COMPLETE": "complete_bash", "GANGLION_DATA_DIR": str(agent.data_dir)}
    for words, wanted in (
        (f"ganglion show {id[:6]}", id),
        (f"ganglion show {id} --node sc", "scan"),
        (f"ganglion retry {id} --from scan[3]/", "scan[3]/boom"),
    ):
        environ |= {"COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
        done = warm.run(["-c", program], cwd=shell.directory, env=environ)
        assert wanted in done.stdout, (words, done.stderr)

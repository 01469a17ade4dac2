"""`top`, and what `show` and `status` say of use and of load, on a real agent."""

import pytest

pytestmark = pytest.mark.nats

WORKFLOW = """\
name: w
limits: {nodes: 2}
nodes:
  a: {type: transform, data: "{{ trigger.data }}"}
  b: {type: transform, needs: a, data: 1}
  c: {type: transform, needs: b, data: 2, when: trigger.data == 'more'}
"""


@pytest.fixture
def agent(start):
    agent = start()
    agent("deploy", agent.shell.write("w.yaml", WORKFLOW))
    return agent


def test_a_person_sees_who_used_most_and_what_one_execution_used(agent):
    assert "no execution ended" in agent("top").out
    assert agent("trigger", "w", "-d", '"xyz"', "--wait").code == 0
    failed = agent("trigger", "w", "-d", '"more"', "--wait", "--json")
    assert failed.code == 1

    report = agent("top", "--json").json
    [workflow] = report["workflows"]
    assert (workflow["executions"], workflow["failed"], workflow["output_bytes"]) == (2, 1, 13)
    assert {node["node"]: node["failed"] for node in report["nodes"]} == {"a": 0, "b": 0, "c": 1}
    assert "API CALLS" in agent("top", "-w", "w").out

    shown = agent("show", failed.json["info"]["execution"]).out
    assert "2 completed, 1 failed; 7B of output" in shown
    assert "raise limits.nodes of the workflow w" in shown

    refused = agent("top", "--by", "token")
    assert refused.code != 0
    assert "did you mean" in refused.err or "known:" in refused.err

    assert "fixed, 100 of 100 at once" in agent("status").out

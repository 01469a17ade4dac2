"""The order and the sums of a fleet's table."""

from agent.cli.fleet_table import Line, lines, summary, told
from engine.control.fleet_messages import FleetAgentInfo
from mesh.presence.beat import Beat
from mesh.presence.members import Member, Standing


def member(agent: str, state: Standing = Standing.UP, **beat) -> Member:
    return Member(Beat(agent=agent, tenant="default", version="1", **beat), 12.0, state)


def test_trouble_comes_first():
    known = [
        member("a"), member("b", Standing.STOPPED), member("c", Standing.LOST), member("d", Standing.DRAINING),
        member("e"), member("f"),
    ]  # fmt: skip
    recorded = [
        FleetAgentInfo(agent="e", state="up", gaps=2),
        FleetAgentInfo(agent="f", state="up", cloned=True),
        FleetAgentInfo(agent="g", state="unknown"),
    ]

    assert [line.info.agent for line in lines(known, recorded, 0)] == ["f", "c", "e", "g", "d", "a", "b"]


def test_an_agent_is_as_it_says_and_its_facts_as_the_recorder_says():
    known = [member("a", running=3, epoch="new", last_seq=50)]
    recorded = [FleetAgentInfo(agent="a", state="lost", running=1, epoch="new", last_seq=40, recorded_seq=38, lag=2)]

    [line] = lines(known, recorded, 0)

    assert (line.info.state, line.info.running) == ("up", 3)
    assert (line.info.last_seq, line.info.recorded_seq, line.info.lag) == (40, 38, 2)
    assert line.silent_seconds == 12.0


def test_a_line_sums_up():
    found = [Line(FleetAgentInfo(agent=f"u{n}", state="up", version="1" if n else "2")) for n in range(38)]
    found += [Line(FleetAgentInfo(agent="d", state="draining", version="2", gaps=3))]
    found += [Line(FleetAgentInfo(agent="l", state="lost", version="0", lost=7))]

    assert told(found) == "40 agents: 38 up, 1 draining, 1 lost; 2 versions; 3 gaps; 7 facts lost for good"
    assert summary(found)["states"] == {"up": 38, "draining": 1, "lost": 1}
    assert told([]) == "no agents"

"""Fleet triggers as they are written, and what is said of wrong ones."""

from collections.abc import Callable

import pytest

from engine.definition import Workflow
from engine.definition.fleet import Bound, FleetTrigger, Stat, parse_bound

Load = Callable[..., Workflow]
Complain = Callable[..., list[str]]

NODES = "nodes: {a: {type: log, message: x}}"


def read(load: Load, fields: str, head: str = "") -> FleetTrigger:
    workflow = load(f"name: w\n{head}\ntriggers:\n  - fleet: {fields}\n{NODES}")
    (trigger,) = workflow.triggers
    assert isinstance(trigger, FleetTrigger)
    return trigger


def test_each_form_is_read(load: Load) -> None:
    each = read(load, "{kind: [workflow.failed, agent.*], agent: [a1, a2], labels: {site: berlin}, when: event.data.x}")
    assert (each.kinds, each.agents, each.labels) == (("workflow.failed", "agent.*"), ("a1", "a2"), {"site": "berlin"})
    counted = read(
        load,
        '{workflow: cold-chain, kind: workflow.failed, count: ">= {{ params.n }}", within: 10m, '
        "group_by: agent.labels.site, again_after: 1h, lateness: 1d}",
        "params: {n: {type: integer, default: 5}}",
    )
    assert (counted.count, counted.within, counted.groups) == (">= 5", 600.0, ("agent.labels.site",))
    assert (counted.again_after, counted.lateness) == (3600.0, 86_400.0)
    judged = read(load, '{workflow: x, stat: p95, over: 1h, is: "> 0.2", min: 20, group_by: [agent.id, workflow]}')
    assert (judged.stat, judged.is_, judged.over, judged.least) == (Stat.P95, "> 0.2", 3600.0, 20)


def test_rates_need_an_execution_that_ended_and_counts_need_none(load: Load) -> None:
    assert read(load, '{stat: failure_rate, over: 1h, is: "> 0.2", workflow: x}').least == 1
    assert read(load, '{stat: completed, over: 1h, is: "< 1", workflow: x}').least == 0


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ("{}", ": kind is missing: nothing says which events are meant (write `kind: workflow.failed`"),
        ("{knd: x, kind: workflow.failed}", ".knd: there is no trigger field knd (did you mean kind?)"),
        ("{kind: workflow.fail}", '.kind: there is no kind of event "workflow.fail" (did you mean workflow.failed?)'),
        ("{kind: workflows.*}", '.kind: there is no kind of event "workflows.*" (did you mean workflow.*?)'),
        ("{kind: '*'}", '.kind: there is no kind of event "*" (such as workflow.failed or workflow.*)'),
        ("{kind: node.started}", ".kind: node.started is a live event, which nobody records"),
        ("{kind: workflow.failed, workflow: Cold Chain}", ".workflow: the name of a workflow is up to 64"),
        ("{kind: workflow.failed, agent: 'a.*'}", '.agent: "a.*" is not the id of an agent'),
        ("{kind: workflow.failed, labels: [a]}", ".labels: expected an object"),
        ("{kind: workflow.failed, when: event.site == 1}", ".when: there is no event.site"),
        ("{kind: workflow.failed, when: agent.id}", ".when: agent is not known before an execution starts"),
        ("{kind: workflow.failed, when: '{{ event.data }}'}", ".when: this field is an expression already"),
        ("{kind: workflow.failed, within: 10m}", '.within: within belongs to count (add `count: ">= 5"`'),
        ("{kind: workflow.failed, group_by: workflow}", ".group_by: group_by belongs to count"),
        ("{kind: workflow.failed, is: '> 1'}", ".is: is belongs to stat (add `stat: failure_rate`"),
        ("{kind: workflow.failed, count: 5}", ": within is missing (add `within: 10m`"),
        ("{kind: workflow.failed, count: 5, within: 10ms}", ".within: expected 1s to 31d, got 10ms"),
        ("{kind: workflow.failed, count: five, within: 1m}", '.count: expected a comparison with a number, such as'),
        ("{kind: workflow.failed, count: '>= 2.5', within: 1m}", ".count: expected a whole number from 1 to 10000"),
        ("{kind: workflow.failed, count: 0, within: 1m}", ".count: expected a whole number from 1 to 10000, got 0"),
        ("{kind: workflow.failed, count: 20000, within: 1m}", ".count: expected a whole number from 1 to 10000"),
        ("{kind: workflow.failed, count: '< 5', within: 1m}", ".count: a count is reached from below, with > or >="),
        ("{kind: workflow.failed, count: 5, within: 1m, lateness: 32d}", ".lateness: expected up to 31d, got 32d"),
        ("{kind: workflow.failed, count: 5, within: 1m, again_after: 0s}", ".again_after: expected more than 0s"),
        ("{kind: workflow.failed, count: 5, within: 1m, group_by: agent}", '.group_by: can\'t be grouped by "agent"'),
        ("{kind: workflow.failed, count: 5, within: 1m, group_by: event.dat.x}", ".group_by: there is no event.dat"),
        ("{kind: workflow.failed, count: 5, within: 1m, group_by: [kind, kind]}", ".group_by: expected up to four"),
        ("{stat: failure_rat, over: 1h, is: '> 1'}", ".stat: expected one of failure_rate, started"),
        ("{stat: failed, is: '> 1'}", ": over is missing (add `over: 1h`"),
        ("{stat: failed, over: 1h}", ": is is missing (add `is:"),
        ("{stat: failed, over: 90s, is: '> 1'}", ".over: expected whole minutes, above 6h whole hours, up to 31d, got"),
        ("{stat: failed, over: 7h30m, is: '> 1'}", ".over: expected whole minutes, above 6h whole hours"),
        ("{stat: failed, over: 1h, is: '= 1'}", ".is: expected a comparison with a number"),
        ("{stat: failed, over: 1h, is: '> 1', kind: workflow.failed}", ".kind: kind does not go with stat"),
        ("{stat: failed, over: 1h, is: '> 1', when: event.data}", ".when: when does not go with stat"),
        ("{stat: failed, over: 1h, is: '> 1', min: -1}", ".min: expected a whole number >= 0"),
        ("{stat: failed, over: 1h, is: '> 1', group_by: event.data.x}", ".group_by: can't be grouped by"),
        (
            "{stat: failed, over: 1h, is: '> 1', group_by: [agent.labels.a, agent.labels.b]}",
            ".group_by: figures are told apart by one label at most",
        ),
    ],
)  # fmt: skip
def test_a_wrong_fleet_trigger_is_refused(complain: Complain, fields: str, said: str) -> None:
    (problem,) = complain(f"name: w\ntriggers:\n  - fleet: {fields}\n{NODES}")
    assert problem.startswith(f"w.yaml:3: triggers[0].fleet{said}"), problem


@pytest.mark.parametrize(
    ("fields", "warns"),
    [
        ("{kind: workflow.failed}", True),
        ("{kind: 'node.*', workflow: [v, w]}", True),
        ("{stat: failed, over: 1h, is: '> 1'}", True),
        ("{kind: workflow.failed, when: event.workflow != 'w'}", False),
        ("{kind: workflow.failed, workflow: v}", False),
        ("{kind: agent.stopped}", False),
        ("{stat: failed, over: 1h, is: '> 1', workflow: v}", False),
    ],
)
def test_a_workflow_that_watches_itself_is_warned_of(load: Load, fields: str, warns: bool) -> None:
    found = load(f"name: w\ntriggers:\n  - fleet: {fields}\n{NODES}").warnings
    assert bool(found) == warns
    assert not warns or found[0].startswith("triggers[0].fleet: this workflow's own executions are among those")


@pytest.mark.parametrize(
    ("text", "value", "holds"),
    [(">= 5", 5, True), ("> 5", 5, False), ("<0.5", 0.25, True), ("<= 1", 2, False), (3, 3, True), (3, 2, False)],
)
def test_a_bound_compares(text: str | int, value: float, holds: bool) -> None:
    assert parse_bound(text).holds(value) is holds


@pytest.mark.parametrize("text", ["", "5", "> -1", ">5e3", ">> 1", "> 1 2", "> \u0665"])
def test_what_is_no_comparison_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a comparison with a number"):
        parse_bound(text)


def test_a_bound_is_shown_as_it_is_written() -> None:
    assert [str(Bound(">=", 5.0)), str(Bound(">", 0.2))] == [">= 5", "> 0.2"]


def test_a_trigger_is_told_in_a_few_words(load: Load) -> None:
    counted = read(load, "{kind: [workflow.failed, agent.*], count: 5, within: 10m, workflow: v}")
    assert str(counted) == "v workflow.failed/agent.* >= 5 in 10m"
    assert str(read(load, "{stat: p95, over: 1h, is: '> 2', workflow: v}")) == "v p95 > 2 over 1h"

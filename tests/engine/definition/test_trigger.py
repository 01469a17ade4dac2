from collections.abc import Callable

import pytest

from engine.definition import Workflow
from engine.definition.form import NOT_IMPLEMENTED

Load = Callable[..., Workflow]
Complain = Callable[..., list[str]]

NODES = "nodes: {a: {type: log, message: x}}"


@pytest.mark.parametrize(
    ("trigger", "said"),
    [
        ("5", ": expected an object, got 5"),
        ("{}", ": expected one kind of trigger"),
        ("{nats: {subject: a.b}, cron: {schedule: '* * * * *'}}", ": expected one kind of trigger"),
        ("{natss: {subject: a.b}}", ".natss: there is no trigger natss (did you mean nats?)"),
        ("{nats: a.b}", '.nats: expected an object, got "a.b"'),
        ("{nats: {}}", ".nats: subject is missing"),
        ("{nats: {subject: a.b, formt: json}}", ".nats.formt: there is no trigger field formt (did you mean format?)"),
        ("{nats: {subject: a.b, format: xml}}", '.nats.format: expected one of json, text, base64, cloudevent'),
        ("{nats: {subject: a b}}", ".nats.subject: the subject 'a b' holds ' '"),
        ("{nats: {subject: a.>.b}}", ".nats.subject: the subject 'a.>.b' has > before its end"),
        ("{nats: {subject: '>'}}", ".nats.subject: a stream can't capture '>'"),
        ("{nats: {subject: ganglion.event.>}}", ".nats.subject: 'ganglion.event.>' is Ganglion's own"),
        ("{nats: {subject: $JS.API.x}}", ".nats.subject: the subject '$JS.API.x' is reserved"),
        ("{nats: {subject: a.b, stream: a.b}}", '.nats.stream: "a.b" is not the name of a stream'),
        ("{nats: {subject: a.b, stream: A, capture: core}}", ".nats.stream: capture: core reads from no stream"),
        ("{nats: {subject: a.b, at: hub}}", ".nats.at: messages are taken from a stream of the hub"),
        ("{nats: {subject: a.b, at: hub, capture: core}}", ".nats.at: messages are taken from a stream of the hub"),
        ("{nats: {subject: a.b, deliver: all}}", ".nats.deliver: what the agent's own stream keeps is read by this"),
        ("{nats: {subject: a.b, deliver: every}}", ".nats.deliver: expected one of one, all"),
        ("{nats: {subject: '{{ nodes.a }}'}}", ".nats.subject: nodes is not known when this is read"),
        ("{cron: {schedule: '* * * *'}}", ".cron.schedule: expected five fields"),
        ("{cron: {schedule: '61 * * * *'}}", ".cron.schedule: the schedule '61 * * * *' is not valid"),
        ("{cron: {schedule: 'H * * * *'}}", ".cron.schedule: the schedule 'H * * * *' is not valid: H and R"),
        ("{cron: {schedule: '0 0 31 2 *'}}", ".cron.schedule: the schedule '0 0 31 2 *' is not valid"),
        ("{cron: {schedule: '* * * * *', timezone: Europe/Berlinn}}", ".cron.timezone: there is no time zone"),
        ("{cron: {schedule: '* * * * *', timezone: ../../etc/passwd}}", ".cron.timezone: there is no time zone"),
        ("{workflow: {name: Cold Chain}}", ".workflow.name: the name of a workflow is up to 64 lower-case letters"),
        ("{workflow: {name: c, on: []}}", ".workflow.on: nothing to start on"),
        ("{workflow: {name: c, on: [failed, failed]}}", ".workflow.on: the same event is there twice"),
        ("{workflow: {name: c, on: fail}}", ".workflow.on: expected one of completed, partial, failed"),
        ("{workflow: {name: c, when: nodes.a.x}}", ".workflow.when: nodes is not known before an execution starts"),
        ("{workflow: {name: c, when: event.dat.x}}", ".workflow.when: there is no event.dat (did you mean data?)"),
        ("{workflow: {name: c, when: params.x > 1}}", ".workflow.when: there is no parameter x"),
        ("{workflow: {name: c, when: '{{ event.data.x }}'}}", ".workflow.when: this field is an expression already"),
        ("{workflow: {name: c, when: event.data.x >}}", ".workflow.when: "),
        ("{file: {path: ../secret/*}}", ".file.path: a path must not lead upwards with .."),
        ("{file: {path: inbox/../../x}}", ".file.path: a path must not lead upwards with .."),
        ("{file: {path: inbox//x}}", ".file.path: a path has no empty steps"),
        ("{file: {path: ~/x}}", ".file.path: ~ is not read"),
        ("{file: {path: inbox/}}", ".file.path: a pattern of files was expected"),
        ("{file: {path: 'in\\x'}}", ".file.path: a path is written with /"),
        ("{file: {path: /*/x}}", ".file.path: it begins with a wildcard"),
        ("{file: {path: 'inbox/**'}}", ".file.path: ** stands for directories"),
        ("{file: {path: 'inbox/a**/x'}}", ".file.path: ** stands alone"),
        ("{file: {path: 'inbox/*', then: {move: ../x}}}", ".file.then.move: a path must not lead upwards"),
        ("{file: {path: 'inbox/*', then: {move: 'x*'}}}", ".file.then.move: a directory was expected"),
        ("{file: {path: 'inbox/*', then: shred}}", ".file.then: expected one of delete, keep or an object"),
        ("{file: {path: 'inbox/*', format: path, then: delete}}", ".file.then: with format: path the file would be"),
        ("{file: {path: 'inbox/*', settle: soon}}", ".file.settle: expected a duration such as 30s"),
        ("{cron: {schedule: '* * * * *', misfire: never}}", ".cron.misfire: expected one of once, skip, all"),
    ],
)  # fmt: skip
def test_a_wrong_trigger_is_refused(complain: Complain, trigger: str, said: str) -> None:
    (problem,) = complain(f"name: w\ntriggers:\n  - {trigger}\n{NODES}")
    assert problem.startswith(f"w.yaml:3: triggers[0]{said}")


def test_triggers_are_a_list(complain: Complain) -> None:
    (problem,) = complain(f"name: w\ntriggers: {{nats: {{subject: a}}}}\n{NODES}")
    assert problem.startswith("w.yaml:2: triggers: expected a list, got an object (write `- nats:")


def test_a_trigger_twice_is_refused(complain: Complain) -> None:
    (problem,) = complain(f"name: w\ntriggers:\n  - nats: {{subject: a}}\n  - nats: {{subject: a}}\n{NODES}")
    assert problem.startswith("w.yaml:4: triggers[1]: the same trigger is there twice")


@pytest.mark.parametrize("kind", sorted(NOT_IMPLEMENTED["trigger"]))
def test_a_trigger_of_a_later_version_is_named(complain: Complain, kind: str) -> None:
    (problem,) = complain(f"name: w\ntriggers:\n  - {kind}: {{path: x}}\n{NODES}")
    assert problem == f"w.yaml:3: triggers[0].{kind}: the trigger {kind} is not implemented by this version (remove it)"


@pytest.mark.parametrize("field", sorted(NOT_IMPLEMENTED["trigger field"]))
def test_a_trigger_field_of_a_later_version_is_named(complain: Complain, field: str) -> None:
    (problem,) = complain(f"name: w\ntriggers:\n  - nats: {{subject: a, {field}: x}}\n{NODES}")
    assert f"the trigger field {field} is not implemented by this version" in problem


@pytest.mark.parametrize("schedule", ["*/15 * * * *", "0 7 * * mon-fri", "@hourly", "0 0 29 2 *", "0 0 l * *"])
def test_usual_schedules_are_read(load: Load, schedule: str) -> None:
    assert load(f"name: w\ntriggers:\n  - cron: {{schedule: '{schedule}'}}\n{NODES}").triggers

"""The triggers of a file: what starts an execution."""

import re
from collections.abc import Iterator, Mapping

import msgspec

from engine.contract import Misfit
from engine.definition.fields import is_object, read_struct
from engine.definition.fleet_reader import check_fleet
from engine.definition.form import NOT_IMPLEMENTED
from engine.definition.model import (
    UNDEFINED,
    At,
    Capture,
    CronTrigger,
    Deliver,
    FileFormat,
    FileTrigger,
    FleetTrigger,
    MoveTo,
    NatsTrigger,
    Trigger,
    WorkflowTrigger,
)
from engine.definition.names import check_workflow_name
from engine.definition.problems import Path, Problems, shown, suggestion
from engine.definition.statics import Statics
from engine.file_patterns import check_directory, parse_pattern
from engine.schedule import check_schedule, check_timezone, timezones
from engine.subjects import check_capture, check_subject
from engine.values import Json

__all__ = ["EVENT_FIELDS", "check_lane", "read_triggers"]

_FORMS: dict[str, type[Trigger]] = {
    "nats": NatsTrigger,
    "cron": CronTrigger,
    "workflow": WorkflowTrigger,
    "file": FileTrigger,
    "fleet": FleetTrigger,
}
_CONDITIONAL = ("workflow", "fleet")
"""Kinds of triggers with a `when`."""
EVENT_FIELDS = ("type", "workflow", "execution", "node", "time", "data")
"""What `event` has in the `when` of a workflow trigger."""
_STREAM = re.compile(r"[^\s.*>/\\]{1,255}")


def read_triggers(tree: Json, statics: Statics, problems: Problems) -> tuple[Trigger, ...]:
    """The valid triggers; what is wrong with the others becomes problems."""
    if not isinstance(tree, list):
        problems.add(("triggers",), f"expected a list, got {shown(tree)}", 'write `- nats: {subject: "sensors.>"}`')
        return ()
    triggers: list[Trigger] = []
    for place, written in enumerate(tree):
        path: Path = ("triggers", place)
        item = _evaluated(written, path, statics)
        if item is UNDEFINED or not is_object(item, path, problems):
            continue
        trigger = _read(item, path, statics, problems)
        if trigger is None:
            continue
        if trigger in triggers:
            problems.add(path, "the same trigger is there twice", "remove one of them")
        triggers.append(trigger)
    return tuple(triggers)


def _evaluated(written: Json, path: Path, statics: Statics) -> Json | msgspec.UnsetType:
    """A trigger with its texts evaluated; `when` is an expression, for later."""
    kind = next((kind for kind in _CONDITIONAL if isinstance(written, Mapping) and kind in written), "")
    fields = written[kind] if kind else None
    if not isinstance(fields, Mapping) or "when" not in fields:
        return statics.read(written, path)
    rest = {name: value for name, value in fields.items() if name != "when"}
    item = statics.read({**written, kind: rest}, path)
    return item if item is UNDEFINED else {**item, kind: {**item[kind], "when": fields["when"]}}


def _read(item: Mapping[str, Json], path: Path, statics: Statics, problems: Problems) -> Trigger | None:
    if len(item) != 1:
        problems.add(path, "expected one kind of trigger", 'write `- nats: {subject: "sensors.>"}`, one `-` for each')
        return None
    kind, fields = next(iter(item.items()))
    if kind in NOT_IMPLEMENTED["trigger"]:
        problems.add((*path, kind), f"the trigger {kind} is not implemented by this version", "remove it")
        return None
    if kind not in _FORMS:
        problems.add((*path, kind), f"there is no trigger {kind[:64]}", suggestion(kind, _FORMS))
        return None
    found = len(problems)
    trigger: Trigger | None = read_struct(_FORMS[kind], fields, (*path, kind), problems, where="trigger field")
    if isinstance(trigger, NatsTrigger):
        for place, message, hint in check_lane(trigger):
            problems.add((*path, kind, *place), message, hint)
    elif isinstance(trigger, CronTrigger):
        _check_cron(trigger, (*path, kind), problems)
    elif isinstance(trigger, WorkflowTrigger):
        _check_workflow(trigger, (*path, kind), statics, problems)
    elif isinstance(trigger, FileTrigger):
        _check_file(trigger, (*path, kind), problems)
    elif isinstance(trigger, FleetTrigger) and len(problems) == found:  # its form is told by the fields that it has
        check_fleet(trigger, (*path, kind), statics, problems)
    return trigger if len(problems) == found else None


def check_lane(trigger: NatsTrigger) -> Iterator[Misfit]:
    """What is wrong with the way on which messages are to come: for triggers, and for waits."""
    try:
        if trigger.capture is Capture.INTAKE and trigger.stream is None:
            check_capture(trigger.subject)
        else:
            check_subject(trigger.subject, wildcards=True)
    except ValueError as error:
        yield ("subject",), str(error), ""
    if trigger.stream is not None:
        if not _STREAM.fullmatch(trigger.stream):
            yield ("stream",), f"{shown(trigger.stream)} is not the name of a stream", ""
        if trigger.capture is Capture.CORE:
            yield ("stream",), "capture: core reads from no stream", "remove one of them"
    elif trigger.at is At.HUB:
        yield ("at",), "messages are taken from a stream of the hub", "name it: `stream: ORDERS`"
    elif trigger.deliver is Deliver.ALL and trigger.capture is Capture.INTAKE:
        yield (
            ("deliver",),
            "what the agent's own stream keeps is read by this agent alone",
            "name a stream that the agents share (`stream: ORDERS`), or remove the line",
        )


def _check_cron(trigger: CronTrigger, path: Path, problems: Problems) -> None:
    try:
        check_schedule(trigger.schedule)
    except ValueError as error:
        problems.add((*path, "schedule"), str(error))
    try:
        check_timezone(trigger.timezone)
    except ValueError as error:
        hint = suggestion(trigger.timezone, timezones(), otherwise="such as Europe/Berlin")
        problems.add((*path, "timezone"), str(error), hint)


def _check_workflow(trigger: WorkflowTrigger, path: Path, statics: Statics, problems: Problems) -> None:
    check_workflow_name(trigger.name, (*path, "name"), problems)
    happenings = trigger.happenings
    if not happenings:
        problems.add((*path, "on"), "nothing to start on", "write `on: [completed, failed]`")
    if len(set(happenings)) < len(happenings):
        problems.add((*path, "on"), "the same event is there twice", "remove one of them")
    if trigger.when is not None:
        known = {"event": EVENT_FIELDS}
        statics.check_early(trigger.when, (*path, "when"), known=known, when="before an execution starts")


def _check_file(trigger: FileTrigger, path: Path, problems: Problems) -> None:
    try:
        pattern = parse_pattern(trigger.path)
    except ValueError as error:
        problems.add((*path, "path"), f"{error}, got {shown(trigger.path)}")
        return
    if isinstance(trigger.then, MoveTo):
        try:
            check_directory(trigger.then.move)
        except ValueError as error:
            problems.add((*path, "then", "move"), f"{error}, got {shown(trigger.then.move)}")
    if trigger.format is FileFormat.PATH and trigger.then == "delete":
        problems.add(
            (*path, "then"),
            "with format: path the file would be gone before a node reads it",
            "use another format, or then: {move: done}",
        )
    if pattern.absolute and not pattern.base:
        problems.add((*path, "path"), "it begins with a wildcard", "name a directory first, such as /srv/inbox/*.csv")

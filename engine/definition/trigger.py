"""The triggers of a file: what starts an execution."""

import re
from collections.abc import Mapping

from engine.definition.fields import is_object, read_struct
from engine.definition.form import NOT_IMPLEMENTED
from engine.definition.formulas import Formulas
from engine.definition.model import UNDEFINED, Capture, CronTrigger, NatsTrigger, Trigger
from engine.definition.problems import Path, Problems, shown, suggestion
from engine.schedule import check_schedule, check_timezone, timezones
from engine.subjects import check_capture, check_subject
from engine.values import Json

__all__ = ["read_triggers"]

_FORMS: dict[str, type[NatsTrigger] | type[CronTrigger]] = {"nats": NatsTrigger, "cron": CronTrigger}
_STREAM = re.compile(r"[^\s.*>/\\]{1,255}")


def read_triggers(tree: Json, formulas: Formulas, problems: Problems) -> tuple[Trigger, ...]:
    """The valid triggers; what is wrong with the others becomes problems."""
    if not isinstance(tree, list):
        problems.add(("triggers",), f"expected a list, got {shown(tree)}", 'write `- nats: {subject: "sensors.>"}`')
        return ()
    triggers: list[Trigger] = []
    for place, written in enumerate(tree):
        path: Path = ("triggers", place)
        item = formulas.static(written, path)
        if item is UNDEFINED or not is_object(item, path, problems):
            continue
        trigger = _read(item, path, problems)
        if trigger is None:
            continue
        if trigger in triggers:
            problems.add(path, "the same trigger is there twice", "remove one of them")
        triggers.append(trigger)
    return tuple(triggers)


def _read(item: Mapping[str, Json], path: Path, problems: Problems) -> Trigger | None:
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
        _check_nats(trigger, (*path, kind), problems)
    elif isinstance(trigger, CronTrigger):
        _check_cron(trigger, (*path, kind), problems)
    return trigger if len(problems) == found else None


def _check_nats(trigger: NatsTrigger, path: Path, problems: Problems) -> None:
    try:
        if trigger.capture is Capture.INTAKE and trigger.stream is None:
            check_capture(trigger.subject)
        else:
            check_subject(trigger.subject, wildcards=True)
    except ValueError as error:
        problems.add((*path, "subject"), str(error))
    if trigger.stream is not None:
        if not _STREAM.fullmatch(trigger.stream):
            problems.add((*path, "stream"), f"{shown(trigger.stream)} is not the name of a stream")
        if trigger.capture is Capture.CORE:
            problems.add((*path, "stream"), "capture: core reads from no stream", "remove one of them")


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

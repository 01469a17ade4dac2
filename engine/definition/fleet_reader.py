"""A fleet trigger, checked: which of its three forms it is, and whether its fields belong to that."""

import re
from collections.abc import Collection
from typing import Final

from engine.definition.fleet import FleetTrigger, parse_bound
from engine.definition.names import check_workflow_name
from engine.definition.problems import Path, Problems, shown, suggestion
from engine.definition.statics import Statics
from engine.events import FACTS, LIVE
from engine.quantities import format_duration

__all__ = ["FLEET_EVENT_FIELDS", "MAX_COUNT", "check_fleet", "own_kinds"]

FLEET_EVENT_FIELDS: Final = (
    "id", "agent", "labels", "kind", "workflow", "version", "execution", "node", "time", "data",
)  # fmt: skip
"""What `event` has in `when` and in `group_by`."""
MAX_COUNT: Final = 10_000
MAX_WINDOW: Final = 31 * 86_400.0
"""Seconds."""
MINUTES_UP_TO: Final = 6 * 3600.0
"""Windows of `stat` up to here move by the minute, longer ones by the hour."""

_ONLY_COUNT = ("within", "lateness")
_ONLY_STAT = ("over", "is", "min")
_BOTH = ("group_by", "again_after")
_NOT_STAT = ("kind", "when", "count", "within", "lateness")
_AGENT_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_LABEL = re.compile(r"agent\.labels\.([A-Za-z0-9][A-Za-z0-9_.-]{0,62})")
_EVENT_PATH = re.compile(r"event\.([a-z]+)((?:\.[A-Za-z_][A-Za-z0-9_-]*|\.[0-9]+)*)")
_OF_EXECUTIONS = ("workflow.", "node.", "iteration.", "limit.", "form.")


def check_fleet(trigger: FleetTrigger, path: Path, statics: Statics, problems: Problems) -> None:
    """A problem for everything that does not fit together."""
    for name in trigger.workflows:
        check_workflow_name(name, (*path, "workflow"), problems)
    for name in trigger.agents:
        if not _AGENT_NAME.fullmatch(name):
            hint = "`ganglion fleet` tells their ids"
            problems.add((*path, "agent"), f"{shown(name)} is not the id of an agent", hint)
    for kind in trigger.kinds:
        _check_kind(kind, (*path, "kind"), problems)
    if trigger.stat is not None:
        _check_stat(trigger, path, problems)
    else:
        _check_count(trigger, path, problems)
    if trigger.when is not None and trigger.stat is None:
        known = {"event": FLEET_EVENT_FIELDS}
        statics.check_early(trigger.when, (*path, "when"), known=known, when="before an execution starts")
    for group in trigger.groups:
        _check_group(group, trigger, (*path, "group_by"), problems)
    if len(trigger.groups) > 4 or len(set(trigger.groups)) < len(trigger.groups):
        problems.add((*path, "group_by"), "expected up to four different ones", "remove some")
    if trigger.again_after == 0:
        problems.add((*path, "again_after"), "expected more than 0s", "remove it to start one execution each time")


def own_kinds(trigger: FleetTrigger) -> bool:
    """Whether it wants what executions do, rather than what agents do."""
    return trigger.stat is not None or any(kind.startswith(_OF_EXECUTIONS) for kind in trigger.kinds)


def _check_kind(kind: str, path: Path, problems: Problems) -> None:
    facts = sorted(fact.value for fact in FACTS)
    if kind in facts or (kind.endswith(".*") and any(fact.startswith(kind[:-1]) for fact in facts)):
        return
    if kind in {live.value for live in LIVE}:
        problems.add(path, f"{kind} is a live event, which nobody records", "name a fact, such as node.completed")
        return
    families = sorted({f"{fact.partition('.')[0]}.*" for fact in facts})
    hint = suggestion(kind, [*facts, *families], otherwise="such as workflow.failed or workflow.*")
    problems.add(path, f"there is no kind of event {shown(kind[:64])}", hint)


def _check_count(trigger: FleetTrigger, path: Path, problems: Problems) -> None:
    if not trigger.kinds:
        hint = "write `kind: workflow.failed`; or a figure, `stat: failure_rate`"
        problems.add(path, "kind is missing: nothing says which events are meant", hint)
    for name in _given(trigger, _ONLY_STAT):
        problems.add((*path, name), f"{name} belongs to stat", "add `stat: failure_rate`, or remove it")
    if trigger.count is None:
        for name in _given(trigger, ("within", *_BOTH)):
            problems.add((*path, name), f"{name} belongs to count", 'add `count: ">= 5"`, or remove it')
        return
    if trigger.within is None:
        problems.add(path, "within is missing", "add `within: 10m`, the time in which they must happen")
    elif not 1 <= trigger.within <= MAX_WINDOW:
        problems.add((*path, "within"), f"expected 1s to 31d, got {format_duration(trigger.within)}")
    if trigger.lateness is not None and trigger.lateness > MAX_WINDOW:
        problems.add((*path, "lateness"), f"expected up to 31d, got {format_duration(trigger.lateness)}")
    try:
        bound = parse_bound(trigger.count)
    except ValueError as error:
        problems.add((*path, "count"), f"{error}, got {shown(trigger.count)}")
        return
    if bound.operator in ("<", "<="):
        hint = 'for what does not happen use `stat: completed`, `is: "< 1"`, `over: 1h`'
        problems.add((*path, "count"), "a count is reached from below, with > or >=", hint)
    elif bound.value != int(bound.value) or not 1 <= bound.value + (bound.operator == ">") <= MAX_COUNT:
        problems.add((*path, "count"), f"expected a whole number from 1 to {MAX_COUNT}, got {shown(trigger.count)}")


def _check_stat(trigger: FleetTrigger, path: Path, problems: Problems) -> None:
    for name in _given(trigger, _NOT_STAT):
        why = "figures are kept of all executions of a workflow"
        problems.add((*path, name), f"{name} does not go with stat: {why}", "remove it, or use `kind` with `count`")
    if trigger.is_ is None:
        problems.add(path, "is is missing", 'add `is: "> 0.2"`, the comparison that it must meet')
    else:
        try:
            parse_bound(trigger.is_)
        except ValueError as error:
            problems.add((*path, "is"), f"{error}, got {shown(trigger.is_)}")
    over = trigger.over
    if over is None:
        problems.add(path, "over is missing", "add `over: 1h`, the window that is looked at")
    elif not 60 <= over <= MAX_WINDOW or over % (60 if over <= MINUTES_UP_TO else 3600):
        problems.add(
            (*path, "over"), f"expected whole minutes, above 6h whole hours, up to 31d, got {format_duration(over)}"
        )


def _check_group(group: str, trigger: FleetTrigger, path: Path, problems: Problems) -> None:
    if group in ("agent.id", "workflow") or _LABEL.fullmatch(group):
        labelled = [one for one in trigger.groups if _LABEL.fullmatch(one)]
        if trigger.stat is not None and len(labelled) > 1 and group == labelled[1]:
            problems.add(path, "figures are told apart by one label at most", "remove the others")
        return
    if trigger.stat is None:
        match = _EVENT_PATH.fullmatch(group)
        if group == "kind" or (match and match[1] in FLEET_EVENT_FIELDS):
            return
        if match:
            problems.add(path, f"there is no event.{match[1][:64]}", suggestion(match[1], FLEET_EVENT_FIELDS))
            return
    known: Collection[str] = ("agent.id", "agent.labels.site", "workflow", "kind", "event.data.site")
    offered = known if trigger.stat is None else ("agent.id", "agent.labels.site", "workflow")
    hint = suggestion(group, offered, otherwise=f"such as {', '.join(offered)}")
    problems.add(path, f"can't be grouped by {shown(group[:64])}", hint)


def _given(trigger: FleetTrigger, names: Collection[str]) -> list[str]:
    """Which of these fields say something."""
    return [name for name in names if getattr(trigger, "is_" if name == "is" else name) not in (None, ())]

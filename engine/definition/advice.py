"""What `ganglion check` says of a workflow that is valid, but perhaps not meant so."""

import re
from collections.abc import Collection, Iterable, Iterator

from engine.contract import Effect
from engine.definition.fleet import FleetTrigger
from engine.definition.fleet_reader import own_kinds
from engine.definition.model import Capture, FileFormat, FileTrigger, Join, NatsTrigger, Node, Workflow, WorkflowTrigger
from engine.definition.problems import Path, dotted
from engine.subjects import overlaps
from engine.values import Json

__all__ = ["warnings"]

_EVALUATED = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_NOT_JSON = (".csv", ".log", ".md", ".tsv", ".txt")


def warnings(
    workflow: Workflow, nodes: Iterable[tuple[Path, Node]], used_params: Collection[str], triggers: Json
) -> tuple[str, ...]:
    """One sentence each: what it does, and what to do if it is not meant. `nodes` are all, with their places;
    `triggers` is what the file says."""
    return (*_of_triggers(workflow, triggers), *_of_params(workflow, used_params), *_of_nodes(workflow, nodes))


def _of_triggers(workflow: Workflow, written: Json) -> Iterator[str]:
    for place, trigger in enumerate(workflow.triggers):
        if isinstance(trigger, NatsTrigger) and trigger.capture is Capture.CORE:
            yield (
                f"triggers[{place}].nats: with capture: core a message published while the agent is away is "
                "lost; remove it unless the subject is used for request-reply"
            )
        if isinstance(trigger, WorkflowTrigger) and trigger.name == workflow.name:
            yield (
                f"triggers[{place}].workflow: the workflow starts on its own events; after 16 rounds the event is a "
                "dead letter; name another workflow, or let `when` end it"
            )
        if isinstance(trigger, FileTrigger) and _is_read_as_json(trigger, written[place]):
            yield (
                f"triggers[{place}].file: {trigger.path} is read as JSON, and a file that is none becomes a dead "
                "letter; write `format: text`, or `format: json` if that is what it holds"
            )
        if isinstance(trigger, FleetTrigger) and _watches_itself(trigger, workflow.name):
            yield (
                f"triggers[{place}].fleet: this workflow's own executions are among those that it watches, and may "
                "start it again; name the workflows that are meant"
                + ("" if trigger.stat else f', or write `when: event.workflow != "{workflow.name}"`')
            )


def _is_read_as_json(trigger: FileTrigger, written: Json) -> bool:
    """Though its name says that it is something else, and nobody said that it is to be."""
    says = written.get("file") if isinstance(written, dict) else None
    is_unsaid = isinstance(says, dict) and "format" not in says
    return trigger.format is FileFormat.JSON and is_unsaid and trigger.path.lower().endswith(_NOT_JSON)


def _watches_itself(trigger: FleetTrigger, name: str) -> bool:
    """Unless a condition looks at the workflow's name, or the trigger names others."""
    if trigger.when is not None and "event.workflow" in trigger.when:
        return False
    return own_kinds(trigger) and (not trigger.workflows or name in trigger.workflows)


def _of_params(workflow: Workflow, used: Collection[str]) -> Iterator[str]:
    for name in workflow.params:
        if name not in used:
            yield f"params.{name}: nothing uses it; remove it, or write {{{{ params.{name} }}}} where it belongs"


def _of_nodes(workflow: Workflow, nodes: Iterable[tuple[Path, Node]]) -> Iterator[str]:
    subjects = [trigger.subject for trigger in workflow.triggers if isinstance(trigger, NatsTrigger)]
    subjects.append(f"ganglion.trigger.*.*.{workflow.name}")
    for path, node in nodes:
        place = dotted(path)
        for subject in subjects:
            if node.type == "publish" and _may_publish(node, subject):
                yield (
                    f"{place}: it may publish to {subject}, which starts this workflow again; after 16 rounds "
                    "the message is a dead letter; publish to another subject"
                )
        if node.effect is Effect.AT_MOST_ONCE and node.retry.max:
            yield (
                f"{place}: it is at_most_once, yet retry runs it up to {node.retry.max + 1} times when it "
                "reports a passing fault; set retry.max to 0 if that must not be"
            )
        if _never_both(node):
            yield f"{place}: it needs two ports of one node, and only one is taken; add `join: any`"
    if workflow.on_failure == workflow.name:
        yield "on_failure: the workflow handles its own failures; if that fails too it starts again, up to 16 times"


def _may_publish(node: Node, subject: str) -> bool:
    """Whether the node's subject can be one that matches; what is evaluated in it may be any one word."""
    written = node.params.get("subject")
    if not isinstance(written, str) or not _EVALUATED.sub("", written).strip(". "):
        return False
    words = _EVALUATED.sub("\0", written).split(".")
    pattern = ".".join("*" if "\0" in word else word for word in words)
    return all(words) and overlaps(pattern, subject)


def _never_both(node: Node) -> bool:
    ported = [need.node for need in node.needs if need.port is not None]
    return node.join is Join.ALL and len(ported) > len(set(ported))

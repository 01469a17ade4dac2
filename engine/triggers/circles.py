"""Do the deployed workflows start each other in a circle? Said at deploy, as a warning: a `when` may well break it."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches

from engine.definition.model import Workflow, WorkflowTrigger

__all__ = ["chain_warnings"]


def chain_warnings(name: str, workflows: Mapping[str, Workflow]) -> tuple[str, ...]:
    """What to know about one of these workflows and those that it starts on: a circle, or one that is not there."""
    workflow = workflows[name]
    return (*_missing(workflow, workflows), *_circle(name, workflows))


def _missing(workflow: Workflow, workflows: Mapping[str, Workflow]) -> Iterator[str]:
    for source in dict.fromkeys(_sources(workflow)):
        if source not in workflows:
            close = get_close_matches(source, workflows, n=1)
            hint = f"did you mean {close[0]}?" if close else "it starts nothing until one is"
            yield f"triggers: no workflow named {source} is deployed here; {hint}"


def _circle(name: str, workflows: Mapping[str, Workflow]) -> Iterator[str]:
    """The shortest way from the workflow back to itself; one that chains to itself alone is told by its file."""
    starts: dict[str, list[str]] = {}
    for other in workflows.values():
        for source in _sources(other):
            starts.setdefault(source, []).append(other.name)
        if other.on_failure is not None:
            starts.setdefault(other.name, []).append(other.on_failure)
    ways = [[name]]
    seen: set[str] = set()
    while ways:
        way = ways.pop(0)
        for following in starts.get(way[-1], ()):
            if following == name and len(way) > 1:
                circle = " → ".join((*way, name))
                yield (
                    f"triggers: these workflows start each other: {circle}; after 16 rounds the event is a dead "
                    "letter; let a `when` end it"
                )
                return
            if following not in seen and following != name:
                seen.add(following)
                ways.append([*way, following])


def _sources(workflow: Workflow) -> Iterator[str]:
    return (trigger.name for trigger in workflow.triggers if isinstance(trigger, WorkflowTrigger))

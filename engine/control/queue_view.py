"""The queues of workflows with a flow, for people: how many wait, and for what."""

import msgspec

from engine.clock import Clock, format_time
from engine.control.messages import ExecutionInfo, QueueInfo
from engine.flow.line import Line
from engine.flow.lines import Lines
from engine.store.turns import Standing, Turn

__all__ = ["queues", "with_reason"]


def with_reason(info: ExecutionInfo, standing: Standing | None, lines: Lines, clock: Clock) -> ExecutionInfo:
    """The same, with why it has not started."""
    if standing is None or info.status not in ("queued", "waiting", "running"):
        return info
    if standing.turn is Turn.QUIET:
        due = None if standing.until is None else format_time(standing.until)
        return msgspec.structs.replace(info, waits_for="its quiet time", due=due)
    if standing.turn is Turn.BEHIND:
        return msgspec.structs.replace(info, waits_for=f"others of the key {standing.key}")
    if standing.turn is Turn.TAKEN:
        return info
    line = lines.line(standing.workflow)
    return msgspec.structs.replace(info, waits_for="a slot" if line is None else _hindrance(line, clock))


def queues(counts: dict[str, dict[Turn, int]], lines: Lines, clock: Clock) -> list[QueueInfo]:
    """One entry for each workflow of which somebody waits."""
    found = []
    for workflow, count in sorted(counts.items()):
        line = lines.line(workflow)
        waiting = {turn: number for turn, number in count.items() if turn is not Turn.TAKEN}
        if waiting:
            found.append(
                QueueInfo(
                    workflow=workflow,
                    quiet=waiting.get(Turn.QUIET, 0),
                    behind=waiting.get(Turn.BEHIND, 0),
                    ready=waiting.get(Turn.READY, 0) + waiting.get(Turn.AGAIN, 0),
                    running=0 if line is None else line.running,
                    waits_for="" if line is None else _hindrance(line, clock),
                    full=line is not None and line.door.closed,
                )
            )
    return found


def _hindrance(line: Line, clock: Clock) -> str:
    """What keeps back the first one that is ready."""
    if line.full:
        return f"the concurrency of {line.flow.concurrency}"
    seconds = line.pause(clock.monotonic())
    if seconds > 0:
        return f"the rate, {seconds:.0f} s more"
    return "a slot"

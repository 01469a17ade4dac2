"""The agents of a fleet in a table: what each says of itself, what a recorder knows of it, trouble first."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import msgspec

from agent.cli.screen import clean, seconds, state, table
from agent.fleet.seen import of_presence
from engine.control.fleet_messages import FleetAgentInfo
from engine.quantities import format_size
from engine.values import Json

if TYPE_CHECKING:
    from rich.text import Text

    from mesh.presence.members import Member

COLUMNS = (
    "AGENT", "STATE", "LABELS", "VERSION", "LOAD", "MEMORY", "FREE", "RUNNING", "QUEUED", "OUTBOX", "LAG", "MODELS",
    "WORKFLOWS",
)  # fmt: skip
LABELS_WIDTH, WORKFLOWS_SHOWN = 40, 3
UNKNOWN = "unknown"
HERE = ("up", "draining")
_ORDER = {"lost": 1, UNKNOWN: 3, "draining": 4, "up": 6, "stopped": 7}


class Line(msgspec.Struct, frozen=True):
    """One agent."""

    info: FleetAgentInfo
    silent_seconds: float | None = None
    """Since its last word, as presence has it."""

    @property
    def attention(self) -> int:
        """How far up it belongs: the smaller, the more somebody should look at it."""
        if self.info.cloned or self.info.conflicts:
            return 0
        if self.info.state != "lost" and self.info.gaps:
            return 2
        return _ORDER.get(self.info.state, 5)


def lines(known: "Iterable[Member]", recorded: Iterable[FleetAgentInfo], now: int) -> list[Line]:
    """What presence says, with what a recorder adds; trouble first. `now`: microseconds, for what has no recorder."""
    infos = {info.agent: info for info in recorded}
    found: list[Line] = []
    for member in known:
        said = of_presence(member, now)
        info = infos.pop(member.beat.agent, None)
        if info is not None:
            said = msgspec.structs.replace(
                info, **{name: getattr(said, name) for name in _SAID_BY_ITSELF if name != "last_seq"}
            )
        found.append(Line(said, member.age_seconds))
    found += [Line(info) for info in infos.values()]
    return sorted(found, key=lambda line: (line.attention, line.info.agent))


_SAID_BY_ITSELF = (
    "state", "version", "labels", "arch", "host", "started", "load", "memory_bytes", "slots", "free_slots", "running",
    "queued", "outbox_depth", "workflows", "models", "records",
)  # fmt: skip


def summary(found: Sequence[Line]) -> dict[str, Json]:
    """The fleet in a few numbers."""
    states = Counter(line.info.state for line in found)
    here = [line.info for line in found if line.info.state in HERE]
    return {
        "agents": len(found),
        "states": {name: states[name] for name in ("up", "draining", "lost", "stopped", UNKNOWN) if states[name]},
        "versions": len({info.version for info in here if info.version}),
        "gaps": sum(line.info.gaps for line in found),
        "lost_facts": sum(line.info.lost for line in found),
        "running": sum(info.running for info in here),
        "queued": sum(info.queued for info in here),
    }


def told(found: Sequence[Line]) -> str:
    """The same in a line: `40 agents: 38 up, 1 draining, 1 lost; 2 versions; 3 gaps`."""
    said = summary(found)
    states = ", ".join(f"{count} {name}" for name, count in said["states"].items())
    parts = [f"{_counted(said['agents'], 'agent')}: {states}" if states else "no agents"]
    parts += [_counted(said["versions"], "version")] if said["versions"] else []
    parts += [_counted(said["gaps"], "gap")] if said["gaps"] else []
    parts += [f"{_counted(said['lost_facts'], 'fact')} lost for good"] if said["lost_facts"] else []
    clones = [line.info.agent for line in found if line.info.cloned]
    parts += [f"cloned: {', '.join(clones)}"] if clones else []
    return "; ".join(parts)


def show_table(found: Sequence[Line], *, is_recorded: bool) -> None:
    """The table on standard output; without a recorder there is no lag to tell of, and without models none of them."""
    has_models = any(line.info.models for line in found)
    columns = [column for column in COLUMNS if (is_recorded or column != "LAG") and (has_models or column != "MODELS")]
    table(columns, (cells(line, is_recorded=is_recorded, has_models=has_models) for line in found))


def cells(line: Line, *, is_recorded: bool, has_models: bool) -> "list[str | Text]":
    """A row."""
    info = line.info
    is_here = info.state in HERE
    labels = " ".join(f"{name}={value}" for name, value in sorted(info.labels.items()))
    row: list[str | Text] = [
        info.agent,
        _state(line),
        labels if len(labels) <= LABELS_WIDTH else f"{labels[: LABELS_WIDTH - 1]}…",
        info.version,
        f"{info.load:.0%}" if is_here else "",
        format_size(info.memory_bytes) if is_here and info.memory_bytes else "",
        f"{info.free_slots}/{info.slots}" if is_here and info.slots else "",
        str(info.running or "") if is_here else "",
        str(info.queued or "") if is_here else "",
        str(info.outbox_depth or ""),
    ]
    models = [clean(" ".join(info.models)) if is_here else ""] if has_models else []
    return [*row, *([_lag(info)] if is_recorded else []), *models, _workflows(info)]


def _state(line: Line) -> "Text":
    shown = state(line.info.state)
    if line.info.state in ("lost", "stopped") and line.silent_seconds is not None:
        shown.append(f" for {seconds(line.silent_seconds)}")
    if line.info.cloned:
        shown.append(" cloned", style="bold red")
    return shown


def _lag(info: FleetAgentInfo) -> "Text":
    from rich.text import Text

    shown = Text(f"{info.lag:,} facts" if info.lag else "")
    if info.lag and info.lag_seconds >= 1:
        shown.append(f", {seconds(info.lag_seconds)}")
    for count, word, style in ((info.gaps, "gap", "yellow"), (info.lost, "lost", "red"), (info.conflicts, "twice", "")):
        if count:
            text = _counted(count, word) if word == "gap" else f"{count:,} {word}"
            shown.append(f"{', ' if shown else ''}{text}", style=style)
    return shown


def _workflows(info: FleetAgentInfo) -> str:
    names = [f"{name}@{version}" for name, version in sorted(info.workflows.items())]
    rest = f" +{len(names) - WORKFLOWS_SHOWN}" if len(names) > WORKFLOWS_SHOWN else ""
    return clean(" ".join(names[:WORKFLOWS_SHOWN]) + rest)


def _counted(count: int, word: str) -> str:
    return f"{count:,} {word}{'' if count == 1 else 's'}"

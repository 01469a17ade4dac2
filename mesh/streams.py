"""Our streams: what they keep, for how long, and how they come to be. Everything here may be run again at any time."""

from collections.abc import Iterable

import msgspec

from engine.values import Json
from mesh.errors import StreamConflict
from mesh.jetstream import SUBJECTS_OVERLAP, ApiError, StreamInfo, Success, ask, stream_info, streams_of
from mesh.nats_client import AnySubjectClient, NotAllowed

TRIGGERS = "GANGLION_TRIGGERS"
INTAKE = "GANGLION_INTAKE"
EVENTS = "GANGLION_EVENTS"

_DUPLICATE_WINDOW_NS = 100_000_000
"""The server's shortest. Its window is for the whole stream, so id 7 on two subjects would lose one: the inbox is the
real dedupe."""


def facts_subject(tenant: str, agent: str, rest: str) -> str:
    """Where an agent's facts are published. `rest`: workflow and kind, or `>` for all."""
    return f"ganglion.event.{tenant}.{agent}.{rest}"


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Room that a stream may take."""

    triggers_bytes: int = 256 * 1024**2
    intake_bytes: int = 1024**3
    events_bytes: int = 512 * 1024**2
    events_age_seconds: int = 7 * 24 * 3600


async def ensure_triggers(nc: AnySubjectClient, tenant: str, limits: Limits) -> StreamInfo:
    """Messages that start a workflow by its name. Publishers are refused when it is full: nothing is dropped."""
    return await _ensure(
        nc,
        TRIGGERS,
        [f"ganglion.trigger.{tenant}.>"],
        {"retention": "workqueue", "discard": "new", "max_bytes": limits.triggers_bytes},
        keep_subjects=True,
    )


async def ensure_events(nc: AnySubjectClient, limits: Limits) -> StreamInfo:
    """The facts. The outbox is their durable copy, so the server may acknowledge before it writes."""
    return await _ensure(
        nc,
        EVENTS,
        ["ganglion.event.>"],
        {
            "retention": "limits",
            "discard": "old",
            "max_bytes": limits.events_bytes,
            "max_age": limits.events_age_seconds * 1_000_000_000,
            "allow_direct": True,
        },
        at_creation={"persist_mode": "async"},
    )


async def missing(nc: AnySubjectClient, tenants: Iterable[str]) -> dict[str, str]:
    """What agents of these tenants would miss, by stream: `ok`, or what is wrong with it."""
    wanted = {
        TRIGGERS: [f"ganglion.trigger.{tenant}.>" for tenant in tenants],
        EVENTS: ["ganglion.event.>"],
        "KV_ganglion_agents": ["$KV.ganglion_agents.>"],
    }
    found: dict[str, str] = {}
    for name, subjects in wanted.items():
        info = await stream_info(nc, name)
        if info is None:
            found[name] = "is not there"
        elif absent := set(subjects) - set(info.config.get("subjects", [])):
            found[name] = f"does not keep {', '.join(sorted(absent))}"
        elif name != TRIGGERS and not info.config.get("allow_direct"):
            found[name] = "does not allow direct gets (allow_direct)"
        else:
            found[name] = "ok"
    return found


async def ensure_intake(nc: AnySubjectClient, subjects: Iterable[str], limits: Limits) -> StreamInfo | None:
    """The users' subjects that start workflows: a set without overlaps. Without any there is no stream.

    A stream that still holds messages is kept, with the subjects it had, until they are taken.
    """
    wanted = sorted(subjects)
    if not wanted:
        info = await stream_info(nc, INTAKE)
        if info is not None and info.state.messages == 0:
            await ask(nc, f"STREAM.DELETE.{INTAKE}", Success)
            return None
        return info
    return await _ensure(
        nc, INTAKE, wanted, {"retention": "workqueue", "discard": "new", "max_bytes": limits.intake_bytes}
    )


async def _ensure(
    nc: AnySubjectClient,
    name: str,
    subjects: list[str],
    settings: dict[str, Json],
    *,
    at_creation: dict[str, Json] | None = None,
    keep_subjects: bool = False,
) -> StreamInfo:
    """Make the stream, or change an existing one where it differs; what others set on it stays."""
    ours = {
        "name": name,
        "subjects": subjects,
        "storage": "file",
        "duplicate_window": _DUPLICATE_WINDOW_NS,
        **settings,
    }
    info = await stream_info(nc, name)
    try:
        if info is None:
            created = {"num_replicas": 1, **ours, **(at_creation or {})}
            try:
                return await ask(nc, f"STREAM.CREATE.{name}", StreamInfo, created)
            except NotAllowed:
                raise StreamConflict(
                    f"there is no stream {name}, and this user may not make it: `ganglion mesh streams --make`, as one "
                    "who may"
                ) from None
        if keep_subjects:
            ours["subjects"] = sorted({*subjects, *info.config.get("subjects", [])})
        config = {**info.config, **ours}
        if config == info.config:
            return info
        try:
            return await ask(nc, f"STREAM.UPDATE.{name}", StreamInfo, config)
        except NotAllowed:
            missing = set(subjects) - set(info.config.get("subjects", []))
            if missing:
                raise StreamConflict(
                    f"the stream {name} does not keep {', '.join(sorted(missing))}, and this user may not change it: "
                    "`ganglion mesh streams --make`, as one who may"
                ) from None
            return info  # an operator set it up, with limits of their own
    except ApiError as error:
        raise StreamConflict(await _explain(nc, name, subjects, error)) from error


async def _explain(nc: AnySubjectClient, name: str, subjects: list[str], error: ApiError) -> str:
    if error.number == SUBJECTS_OVERLAP:
        for subject in subjects:
            others = [other for other in await streams_of(nc, subject) if other != name]
            if others:
                return (
                    f"{subject} is kept by the stream {', '.join(others)} already, so {name} can't have it: "
                    f"let the trigger take from there (stream: {others[0]}), or narrow one of the two"
                )
    return f"the stream {name} can't be made as needed ({error.description}): look at it with `nats stream info {name}`"

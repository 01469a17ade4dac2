"""What is fetched, and by which durable consumer: one source for each lane.

    own server           GANGLION_TRIGGERS  agent                                    all triggers
                         GANGLION_INTAKE    agent                                    all subjects of workflows
                         others             ganglion_<tenant>_<workflow>_one_<digest>
    shared server, hub   GANGLION_TRIGGERS  <tenant>_<agent>                         what is addressed to this agent
                                            <tenant>_any_<workflow>                  shared by all that have it
                         others             ganglion_<tenant>_<workflow>_one_<digest>   shared by all that have it
                                            ganglion_<tenant>_<workflow>_all_<agent>    this agent's

None of the names may hold an underscore, so no two of these are the same. Shared ones are never removed by an agent:
what it can't know is whether others fetch from them.
"""

import hashlib
from collections.abc import Iterable

import msgspec

from engine.definition.model import At, Deliver
from engine.subjects import cover
from engine.triggers.routes import External
from mesh.streams import INTAKE, TRIGGERS

_OURS = "agent"


class Source(msgspec.Struct, frozen=True):
    """A durable consumer and what it fetches."""

    stream: str
    consumer: str
    subjects: tuple[str, ...] = ()
    """Filter; empty for all."""
    workflow: str = ""
    """Set where it fetches for one workflow."""
    at: At | None = None
    deliver: Deliver | None = None
    only_new: bool = False
    """Begin with what comes after the consumer is made, not with what the stream holds."""
    private: bool = False
    """Nobody else fetches from it, and the stream keeps what it has not acknowledged: made anew on each link."""
    shared: bool = False
    """Other agents fetch from it too: what can't be taken in now is theirs."""

    @property
    def leaves(self) -> bool:
        """It goes when its workflow does: nobody else fetches from it, and it would keep its place for ever."""
        return self.deliver is Deliver.ALL


def triggers_of_own_server() -> Source:
    """All triggers."""
    return Source(TRIGGERS, _OURS, private=True)


def intake_of_own_server() -> Source:
    """All subjects of workflows."""
    return Source(INTAKE, _OURS, private=True)


def addressed(tenant: str, agent: str) -> Source:
    """On a shared server: triggers for this agent."""
    return Source(TRIGGERS, f"{tenant}_{agent}", (f"ganglion.trigger.{tenant}.{agent}.>",), private=True)


def anyones(tenant: str, workflow: str) -> Source:
    """On a shared server: triggers of a workflow for whichever agent has it."""
    return Source(
        TRIGGERS,
        f"{tenant}_any_{workflow}",
        (f"ganglion.trigger.{tenant}.any.{workflow}",),
        workflow=workflow,
        shared=True,
    )


def of_stream(external: External, *, tenant: str, agent: str) -> Source:
    """What one workflow takes from an existing stream."""
    start = f"ganglion_{tenant}_{external.workflow}"
    if external.deliver is Deliver.ALL:
        consumer = f"{start}_all_{agent}"
    else:
        consumer = f"{start}_one_{hashlib.sha256(' '.join(external.subjects).encode()).hexdigest()[:8]}"
    return Source(
        external.stream,
        consumer,
        external.subjects,
        workflow=external.workflow,
        at=external.at,
        deliver=external.deliver,
        only_new=True,
        shared=external.deliver is Deliver.ONE,
    )


def together(externals: Iterable[External], *, at: At | None, own_server: bool) -> tuple[External, ...]:
    """Those of one place, and one for those that differ only in what makes no difference there: who gets a message, on
    a server that nobody shares; without `at`, whether the place is called own or hub."""
    wanted: dict[External, list[str]] = {}
    for external in externals:
        if at in (None, external.at):
            key = External(external.workflow, external.stream, (), at, None if own_server else external.deliver)
            wanted.setdefault(key, []).extend(external.subjects)
    return tuple(msgspec.structs.replace(key, subjects=cover(subjects)) for key, subjects in wanted.items())

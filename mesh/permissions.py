"""Who must be allowed what at a server that agents share: exact lists for the server's configuration.

One line for each subject, with its reason, derived from the names that streams.py, intake/, presence/, recorder/ and
service.py use; a test runs a mesh under exactly these. A server allows by subject alone, so requests to JetStream
name what they are about: an agent can ask for its own and for nothing else. What remains open to all who may look into
the bucket of presence is said there; tenants that must not know of each other get an account each.
"""

from collections.abc import Iterable, Iterator
from enum import StrEnum

import msgspec

from mesh.intake.source import Source, addressed, anyones
from mesh.presence.bucket import PREFIX, STREAM, key_of
from mesh.recorder.reader import recorder_name
from mesh.service import NAME, SUBJECTS
from mesh.streams import EVENTS, TRIGGERS, facts_subject

API = "$JS.API"
ANY = "*"


class Right(msgspec.Struct, frozen=True):
    """A subject, and what it is needed for."""

    subject: str
    why: str


class Rights(msgspec.Struct, frozen=True, kw_only=True):
    """What one user must be allowed; everything else is denied."""

    who: str
    publish: tuple[Right, ...]
    subscribe: tuple[Right, ...]
    responses: bool
    """It may answer what it is asked, wherever the answer is wanted (`allow_responses`)."""


class Stream(msgspec.Struct, frozen=True):
    """A stream of the users that workflows take from: its consumers there."""

    name: str
    consumers: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """(name, filters)."""


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """An agent, as far as its rights go."""

    tenant: str
    agent: str
    workflows: tuple[str, ...] = (ANY,)
    """Whose messages for `any` agent it may take; `*` is all, and then tenants reach each other's consumers."""
    streams: tuple[Stream, ...] = ()
    publish: tuple[str, ...] = ()
    """Subjects of its publish and request nodes; beyond a leaf link those that it shares with the hub."""
    subscribe: tuple[str, ...] = ()
    """Subjects of its plain triggers."""
    fleet: bool = False
    """It records the fleet's events, or watches the fleet."""
    api: str = API
    """Where it asks JetStream: `$JS.<domain>.API` beyond a leaf link."""


class Role(StrEnum):
    """Whom the lists are for."""

    AGENT = "agent"
    RECORDER = "recorder"
    OPERATOR = "operator"


def inbox_of(tenant: str, agent: str) -> str:
    """What the inboxes of an agent begin with, so that no other can read the answers to it. Those of a person's client
    are shorter: `_INBOX.<random>`, or a token more."""
    return f"_INBOX.{tenant}.{agent}"


def agent_rights(member: Member) -> Rights:
    """For an agent; at a hub, for its leaf link."""
    who = f"agent {member.agent} of tenant {member.tenant}"
    if member.fleet:
        who += ", which records or watches the fleet"
    return Rights(
        who=who, publish=_distinct(_agent_publishes(member)), subscribe=_distinct(_agent_hears(member)),
        responses=member.api == API,
    )  # fmt: skip


def operator_rights(tenant: str, *, api: str = API) -> Rights:
    """For a person's command line: asks agents, reads events, and makes the streams of everybody."""
    publish = [
        Right(f"{SUBJECTS}.{tenant}.*.*", "commands to agents"),
        Right(f"ganglion.trigger.{tenant}.>", "start workflows"),
        Right(f"$SRV.PING.{NAME}", "which agents answer now"),
        Right("$SRV.>", "nats micro ls, info and stats"),
        Right(f"{api}.INFO", "whether JetStream is there"),
        *_reads_presence(api),
        Right(f"{api}.STREAM.NAMES", "which stream keeps a subject"),
        Right(f"{api}.STREAM.INFO.*", "look at streams"),
        Right(f"{api}.STREAM.CREATE.*", "ganglion mesh streams --make"),
        Right(f"{api}.STREAM.UPDATE.*", "the same, where they are there already"),
    ]
    subscribe = [
        *_inboxes_of_people("answers"),
        Right(f"ganglion.event.{tenant}.>", "events as they happen"),
        Right(f"ganglion.live.{tenant}.>", "progress as it is made"),
    ]
    return Rights(
        who=f"a person who operates tenant {tenant}", publish=_distinct(publish), subscribe=tuple(subscribe),
        responses=False,
    )  # fmt: skip


def _agent_publishes(member: Member) -> Iterator[Right]:
    tenant, agent, api = member.tenant, member.agent, member.api
    yield Right(facts_subject(tenant, agent, ">"), "its facts")
    yield Right(f"ganglion.live.{tenant}.{agent}.>", "its live events")
    yield Right(f"ganglion.trigger.{tenant}.>", "its workflows may start workflows of their tenant")
    yield from (Right(subject, "what it publishes and asks") for subject in member.publish)
    if member.publish and api == API:
        yield Right(f"{api}.STREAM.NAMES", "which stream keeps what it publishes")
    if api != API:
        yield Right(f"{api}.INFO", "whether the hub is there")
        # A server lets a client answer what it was asked, and nothing else; it does not do so for a leaf link.
        yield from _inboxes_of_people("answers to people")
        yield Right(f"_INBOX.{tenant}.*.>", "answers to recorders of its tenant")
    yield Right(f"{api}.STREAM.INFO.{EVENTS}", "whether the stream of facts is there, and did not go backwards")
    own_facts = facts_subject(tenant, agent, ">")
    yield Right(f"{api}.DIRECT.GET.{EVENTS}.{own_facts}", "its newest fact there")
    yield Right(f"{api}.STREAM.INFO.{TRIGGERS}", "whether the stream of triggers is there")
    yield from _consumes(api, TRIGGERS, *_one(addressed(tenant, agent)), "triggers for this agent", drops=True)
    for workflow in member.workflows:
        name, filters = _one(anyones(tenant, workflow))
        what = "triggers for any agent" if workflow == ANY else f"triggers of {workflow} for any agent"
        yield from _consumes(api, TRIGGERS, ANY if workflow == ANY else name, filters, what)
    for stream in member.streams:
        yield Right(f"{api}.STREAM.INFO.{stream.name}", "a stream of its workflows")
        for name, filters in stream.consumers:
            yield from _consumes(api, stream.name, name, filters, f"messages of {stream.name}", drops=True)
    put = f"{PREFIX}{key_of(tenant, agent)}"
    yield Right(put if api == API else f"{api}.{put}", "say that it is there")
    yield Right(f"{api}.STREAM.INFO.{STREAM}", "whether the bucket of presence is there, and what time it is")
    yield Right(f"{api}.DIRECT.GET.{STREAM}.{put}", "whether another one says so under its id")
    if member.fleet:
        yield from _reads_presence(api)
        filters = (f"ganglion.event.{tenant}.>",)
        yield from _consumes(api, EVENTS, recorder_name(tenant, agent), filters, "the fleet's facts", drops=True)
        yield Right(f"{SUBJECTS}.{tenant}.*.events", "ask agents for facts that did not come")


def _agent_hears(member: Member) -> Iterator[Right]:
    yield Right(f"{inbox_of(member.tenant, member.agent)}.>", "answers to it, and to no other")
    yield Right(f"{SUBJECTS}.{member.tenant}.{member.agent}.*", "commands to it")
    for depth in ("*", f"*.{NAME}", f"*.{NAME}.*"):
        yield Right(f"$SRV.{depth}", "nats micro ls, info and stats")
    yield from (Right(subject, "plain triggers of its workflows") for subject in member.subscribe)


def _inboxes_of_people(why: str) -> tuple[Right, ...]:
    """Shorter than those of agents, which they therefore do not cover."""
    return Right("_INBOX.*", why), Right("_INBOX.*.*", why)


def _reads_presence(api: str) -> Iterator[Right]:
    """A listing names what it wants in its body, so this shows the agents of all tenants in the account."""
    yield Right(f"{api}.STREAM.INFO.{STREAM}", "the bucket of presence")
    yield Right(f"{api}.DIRECT.GET.{STREAM}", "who is there; of all tenants in this account")
    yield Right(f"{api}.DIRECT.GET.{STREAM}.>", "the same, one by one")
    yield Right(f"{api}.CONSUMER.CREATE.{STREAM}", "who comes and goes; of all tenants in this account")


def _consumes(
    api: str, stream: str, name: str, filters: Iterable[str], what: str, *, drops: bool = False
) -> Iterator[Right]:
    """One durable consumer: made, asked, acknowledged. The filter stands in the subject where there is only one."""
    filters = tuple(filters)
    only = f".{filters[0]}" if len(filters) == 1 else ""
    yield Right(f"{api}.CONSUMER.INFO.{stream}.{name}", what)
    yield Right(f"{api}.CONSUMER.CREATE.{stream}.{name}{only}", what)
    yield Right(f"{api}.CONSUMER.MSG.NEXT.{stream}.{name}", what)
    yield Right(f"$JS.ACK.{stream}.{name}.>", f"acknowledge {what}")
    yield Right(f"$JS.ACK.*.*.{stream}.{name}.>", "the same, as newer servers write it")
    if drops:
        yield Right(f"{api}.CONSUMER.DELETE.{stream}.{name}", "make its consumer anew")


def _distinct(rights: Iterable[Right]) -> tuple[Right, ...]:
    return tuple({right.subject: right for right in reversed(list(rights))}.values())[::-1]


def _one(source: Source) -> tuple[str, tuple[str, ...]]:
    return source.consumer, source.subjects

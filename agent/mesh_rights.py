"""What an agent must be allowed at a server that it shares: from its configuration and its workflow files."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from agent.node_types import node_types
from agent.workflow_files import SUFFIXES
from engine.definition import load_workflow, parse_tree
from engine.definition.fleet import FleetTrigger
from engine.definition.model import At, Workflow
from engine.triggers.routes import Routes
from engine.values import Json
from mesh.intake.source import of_stream, together
from mesh.permissions import API, Member, Stream

_PUBLISHING = ("publish", "request")
_TEMPLATE = re.compile(r"\{\{.*?\}\}")


class Needs(msgspec.Struct, frozen=True, kw_only=True):
    """What workflows ask of the server."""

    workflows: tuple[str, ...] = ()
    streams: tuple[Stream, ...] = ()
    publish: tuple[str, ...] = ()
    subscribe: tuple[str, ...] = ()
    fleet: bool = False


def files_of(paths: Iterable[Path]) -> list[Path]:
    """Workflow files; of a directory those in it. Raises OSError."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(one for one in path.iterdir() if one.suffix in SUFFIXES and not one.name.startswith("."))
        else:
            found.append(path)
    return found


def needs_of(files: Iterable[Path], *, tenant: str, agent: str, hub: bool, params: dict[str, Json]) -> Needs:
    """What these workflows need. Raises InvalidWorkflow and OSError. `hub`: of it alone."""
    types = node_types(allow_shell=True)
    workflows: list[Workflow] = []
    publish: set[str] = set()
    for path in files:
        source = path.read_bytes()
        workflows.append(load_workflow(source, types=types, filename=str(path), params=params))
        publish |= set(_subjects(parse_tree(source, str(path)).tree))
    routes = Routes([(one.name, 1, one) for one in workflows], agent=agent, tenant=tenant)
    consumers: dict[str, list[tuple[str, tuple[str, ...]]]] = {}
    for external in together(routes.externals, at=At.HUB if hub else None, own_server=False):
        source_of = of_stream(external, tenant=tenant, agent=agent)
        consumers.setdefault(external.stream, []).append((source_of.consumer, source_of.subjects))
    return Needs(
        workflows=tuple(sorted(routes.active)),
        streams=tuple(Stream(name, tuple(ones)) for name, ones in sorted(consumers.items())),
        publish=tuple(sorted(publish)),
        subscribe=tuple(sorted({plain.subject for plain in routes.plain})) if not hub else (),
        fleet=any(isinstance(trigger, FleetTrigger) for one in workflows for trigger in one.triggers),
    )


def member_of(needs: Needs, *, tenant: str, agent: str, api: str = API, **changes: object) -> Member:
    """An agent that runs these workflows."""
    known = {**msgspec.structs.asdict(needs), **changes}
    if not known["workflows"]:
        del known["workflows"]
    return msgspec.convert({"tenant": tenant, "agent": agent, "api": api, **known}, Member)


def _subjects(tree: Json) -> Iterator[str]:
    """Where nodes publish or ask; what is known only when they run is `*`, which is one token."""
    if isinstance(tree, list):
        for item in tree:
            yield from _subjects(item)
    elif isinstance(tree, dict):
        subject = tree.get("subject")
        if tree.get("type") in _PUBLISHING and isinstance(subject, str):
            tokens = _TEMPLATE.sub("*", subject).split(".")
            pattern = ".".join("*" if "*" in token else token for token in tokens)
            if not pattern.startswith("ganglion."):
                yield pattern
        for value in tree.values():
            yield from _subjects(value)

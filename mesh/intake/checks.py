"""Whether what a deploy wants can be taken in, before anything changes. Without a link everything can: later."""

from collections.abc import Iterable
from contextlib import suppress

from engine.definition.model import At
from mesh import streams
from mesh.connection import LOST, Link
from mesh.errors import StreamConflict
from mesh.intake import consumer
from mesh.intake.source import Source
from mesh.jetstream import StreamInfo, stream_info
from mesh.streams import Limits


async def existing_stream(link: Link, source: Source) -> StreamInfo:
    """The stream that a workflow takes from. Raises StreamConflict."""
    info = await stream_info(link.nc, source.stream)
    if info is None:
        where = "at the hub" if source.at is At.HUB else "there"
        raise StreamConflict(
            f"the workflow {source.workflow} takes from the stream {source.stream}, which is not {where}: "
            "make it, or let the trigger go without `stream`"
        )
    return info


async def problems_of_sources(link: Link | None, sources: Iterable[Source]) -> list[StreamConflict]:
    """What keeps these from getting their consumers; the others have them then."""
    problems: list[StreamConflict] = []
    if link is not None:
        with suppress(*LOST):
            for source in sources:
                try:
                    await consumer.ensure(link, source, await existing_stream(link, source))
                except StreamConflict as problem:
                    problems.append(problem)
    return problems


async def problems_of_intake(link: Link | None, subjects: Iterable[str], limits: Limits) -> list[StreamConflict]:
    """What keeps the agent's own stream from capturing these; without one it does then."""
    if link is not None:
        try:
            await streams.ensure_intake(link.nc, subjects, limits)
        except StreamConflict as problem:
            return [problem]
        except LOST:
            return []
    return []


def problems_of_shared(subjects: Iterable[str]) -> list[StreamConflict]:
    """Subjects that want a stream of the agent's own, on a server that others share."""
    return [
        StreamConflict(
            f"{subject}: on a shared server a trigger takes from an existing stream (stream: NAME) "
            "or from a plain subscription (capture: core)"
        )
        for subject in sorted(subjects)
    ]


async def restore(link: Link | None, asked: Iterable[Source], wanted: Iterable[Source]) -> None:
    """After a deploy that was refused: a consumer that was wanted before, and was changed, is as it was."""
    names = {(source.stream, source.consumer) for source in asked}
    await problems_of_sources(link, [source for source in wanted if (source.stream, source.consumer) in names])

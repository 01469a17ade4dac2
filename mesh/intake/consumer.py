"""A source's durable consumer as the server is told of it, and what the server says against it."""

from engine.definition.model import Deliver
from engine.values import Json
from mesh.connection import Link
from mesh.errors import StreamConflict
from mesh.intake.source import Source
from mesh.jetstream import ApiError, StreamInfo, ensure_consumer

ACK_WAIT_SECONDS = 30.0
"""After so long the server delivers a message again that nobody has answered for."""
MAX_ACK_PENDING = 8192
"""Messages that all agents of a consumer may have in hand; many times what one may."""


async def ensure(link: Link, source: Source, stream: StreamInfo) -> None:
    """Make the source's consumer, or change it where it differs. Raises StreamConflict if the stream allows none."""
    is_queue = stream.config.get("retention") == "workqueue"
    if is_queue and source.deliver is Deliver.ALL:
        raise StreamConflict(
            f"the workflow {source.workflow} wants each agent to get each message of the stream {source.stream}, which "
            "is a work queue and gives each to one reader: write `deliver: one` (a wait can't), or let the stream keep "
            "messages by limits or interest"
        )
    # A new consumer of a work queue can't begin with what comes: what is there is nobody's yet.
    begin = "new" if source.only_new and not is_queue else "all"
    try:
        await ensure_consumer(link.nc, source.stream, _config(source), new={"deliver_policy": begin})
    except ApiError as error:
        what = f"the workflow {source.workflow}" if source.workflow else "this agent"
        raise StreamConflict(
            f"{what} can't take from the stream {source.stream}: {error.description} ({error.number}); "
            f"look at its consumers with `nats consumer report {source.stream}`, and remove one that nobody needs any "
            f"more with `nats consumer rm {source.stream} NAME`"
        ) from error


def _config(source: Source) -> dict[str, Json]:
    config: dict[str, Json] = {
        "durable_name": source.consumer,
        "ack_policy": "explicit",
        "ack_wait": int(ACK_WAIT_SECONDS * 1_000_000_000),
        "max_ack_pending": MAX_ACK_PENDING,
        "max_deliver": -1,
    }
    if source.leaves:  # its filter may change from one subject to several, and back
        config |= {"filter_subject": "", "filter_subjects": []}
    if len(source.subjects) == 1:
        config["filter_subject"] = source.subjects[0]
    elif source.subjects:
        config["filter_subjects"] = list(source.subjects)
    return config

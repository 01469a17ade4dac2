"""`publish`: a NATS message that is sent if and only if the node's result is kept."""

from typing import Annotated

import msgspec

from engine.contract import Context, Done, Effect, Fail, NodeType, Outcome
from engine.values import Json
from plugins.message import check_headers, check_subject, message_body
from plugins.scalar import Scalar, scalar_texts


class PublishParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    subject: Annotated[str, msgspec.Meta(description="Where to: a subject without wildcards, up to 255 bytes.")]
    data: Annotated[
        Json | msgspec.UnsetType,
        msgspec.Meta(description='The body, sent as JSON: the text "on" is sent as "on" in quotes. Excludes `text`.'),
    ] = msgspec.UNSET
    text: Annotated[
        str | msgspec.UnsetType,
        msgspec.Meta(description="The body, sent as it is in UTF-8. With neither `data` nor `text` the body is empty."),
    ] = msgspec.UNSET
    headers: Annotated[dict[str, Scalar], msgspec.Meta(description="NATS headers.")] = {}

    def __post_init__(self) -> None:
        if self.data is not msgspec.UNSET and self.text is not msgspec.UNSET:
            raise ValueError("takes `data` (sent as JSON) or `text` (sent as it is), not both")


async def run(ctx: Context, params: PublishParams) -> Outcome:
    headers = scalar_texts(params.headers)
    try:
        check_subject(params.subject)
        check_headers(headers)
    except ValueError as error:
        return Fail(str(error), kind="invalid")
    body = message_body(params.data, params.text)
    ctx.publish(params.subject, body, headers=headers or None)
    return Done({"subject": params.subject, "bytes": len(body)})


PUBLISH = NodeType(
    name="publish",
    description=(
        "Publishes a NATS message. It is stored with the node's result in one transaction and sent afterwards, in "
        "order per subject, also when there is no connection now: exactly the messages of kept results are sent. "
        "The output is {subject, bytes}. A message larger than the server accepts becomes a dead letter."
    ),
    params=PublishParams,
    run=run,
    # Not pure: what it sends must be built from committed results only.
    effect=Effect.AT_LEAST_ONCE,
    example="""\
name: remember
nodes:
  reading:
    type: transform
    data: {device: fridge-7, celsius: 9.5}
  remember:
    type: publish
    subject: "log.{{ nodes.reading.device }}"
    headers: {Source: cold-chain}
    data: "{{ nodes.reading }}"
outputs: "{{ nodes.remember }}"
""",
)

"""`request`: a question over NATS, and its answer."""

import base64
from typing import Annotated

import msgspec

from engine.contract import Context, Done, Effect, Fail, NodeType, Outcome, Retry
from engine.ports import NoResponders, Reply, Unreachable
from engine.values import MAX_BYTES, InvalidValue, Json, decode_json
from plugins.message import check_headers, check_subject, message_body
from plugins.scalar import Scalar, scalar_texts
from plugins.time_left import time_left

_SERVICE_ERROR = "nats-service-error"


class RequestParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    subject: Annotated[str, msgspec.Meta(description="Whom to ask: a subject without wildcards, up to 255 bytes.")]
    data: Annotated[Json | msgspec.UnsetType, msgspec.Meta(description="The body, sent as JSON. Excludes `text`.")] = (
        msgspec.UNSET
    )
    text: Annotated[
        str | msgspec.UnsetType,
        msgspec.Meta(description="The body, sent as it is in UTF-8. With neither `data` nor `text` the body is empty."),
    ] = msgspec.UNSET
    headers: Annotated[dict[str, Scalar], msgspec.Meta(description="NATS headers.")] = {}

    def __post_init__(self) -> None:
        if self.data is not msgspec.UNSET and self.text is not msgspec.UNSET:
            raise ValueError("takes `data` (sent as JSON) or `text` (sent as it is), not both")


async def run(ctx: Context, params: RequestParams) -> Outcome:
    headers = scalar_texts(params.headers)
    seconds = time_left(ctx)
    try:
        check_subject(params.subject)
        check_headers(headers)
        body = message_body(params.data, params.text)
        reply = await ctx.request(params.subject, body, headers=headers, timeout=seconds)
    except ValueError as error:
        return Fail(str(error), kind="invalid")
    except NoResponders:
        return Retry(f"nobody answers on {params.subject} now", kind="no_responders")
    except TimeoutError:
        return Retry(f"no answer on {params.subject} within {seconds:.3g} s", kind="timeout")
    except Unreachable as error:
        return Retry(f"cannot ask on {params.subject}: {error}", kind="unreachable")
    return _outcome(params.subject, reply)


def _outcome(subject: str, reply: Reply) -> Outcome:
    # What the services of NATS ("micro") say when they fail; the body is then no answer.
    for name, value in reply.headers.items():
        if name.lower() == _SERVICE_ERROR:
            return Fail(f"{subject} answered with an error: {value}", kind="service_error")
    if len(reply.body) > MAX_BYTES:
        return Fail(
            f"{subject}: the answer of {len(reply.body)} bytes is over the limit of {MAX_BYTES}", kind="too_large"
        )
    return Done({"body": _decode(reply.body), "headers": dict(reply.headers)})


def _decode(body: bytes) -> Json:
    try:
        return decode_json(body)
    except InvalidValue:
        pass
    try:
        return body.decode()
    except UnicodeDecodeError:
        return base64.b64encode(body).decode()


REQUEST = NodeType(
    name="request",
    description=(
        "Sends a NATS request and waits for one reply. The output is {body, headers}: the body is JSON data where it "
        "is JSON, else text, else (where it is not UTF-8) base64. Nobody there, no reply in time (30 s without a "
        "`timeout` of the node) and no connection are tried again as `retry` allows; a service's error fails. A "
        "request is not kept: use `publish` for what must arrive."
    ),
    params=RequestParams,
    run=run,
    effect=Effect.AT_LEAST_ONCE,
    example="""\
name: ask
params:
  subject: {type: string, default: math.square}
nodes:
  ask:
    type: request
    subject: "{{ params.subject }}"
    data: {value: 7}
    timeout: 2s
    retry: {max: 2, delay: 500ms}
outputs: {answer: "{{ nodes.ask.body }}"}
""",
)

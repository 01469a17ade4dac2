"""The message that a `wait` node waits for: what a file says of it, and which of those a workflow has."""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Annotated

import msgspec

from engine.contract import Misfit, Role
from engine.definition.model import At, BodyFormat, Capture, NatsTrigger, Node, Workflow
from engine.definition.problems import shown, suggestion
from engine.definition.trigger import check_lane
from engine.expressions import ExpressionError, compile_expression
from engine.quantities import parse_duration
from engine.values import Json, encode_json

__all__ = ["MESSAGE_FIELDS", "AwaitedMessage", "Channel", "channels", "check_awaited", "wait_key"]

MESSAGE_FIELDS = ("data", "subject", "headers", "time", "id")
"""What `message` has in the `key` of a wait."""


def _static(description: str) -> msgspec.Meta:
    return msgspec.Meta(description=description, extra={"role": Role.STATIC})


class AwaitedMessage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which message ends a wait."""

    subject: Annotated[str, _static("A NATS subject; * and > are wildcards. Read at deploy.")]
    key: Annotated[
        str | None,
        msgspec.Meta(
            description="What an arriving message is known by: an expression without braces over `message` ({data, "
            "subject, headers, time, id}). Without one any message of the subject will do.",
            extra={"role": Role.RAW},
        ),
    ] = None
    equals: Annotated[
        Json, msgspec.Meta(description="The value of `key` that is waited for, evaluated when the wait begins.")
    ] = None
    format: Annotated[BodyFormat, _static("How the body becomes `message.data`.")] = BodyFormat.JSON
    capture: Annotated[
        Capture, _static("intake: accepted means kept. core: a plain subscription, outside the promise.")
    ] = Capture.INTAKE
    stream: Annotated[str | None, _static("An existing stream that captures the subject already.")] = None
    at: Annotated[At, _static("Where that stream is: own, or hub.")] = At.OWN
    buffer: Annotated[
        str | float, _static("How long a message is kept that comes before anybody waits for it; 0 for not at all.")
    ] = "10m"

    def __post_init__(self) -> None:
        self.buffer_seconds  # noqa: B018 - raises ValueError

    @property
    def buffer_seconds(self) -> float:
        try:
            return parse_duration(self.buffer)
        except ValueError as error:
            raise ValueError(f"buffer: {error}") from None


class Channel(msgspec.Struct, frozen=True):
    """One way on which messages reach the waits of a node; the same for all executions, and for versions that say the
    same of it."""

    workflow: str
    node: str
    awaited: AwaitedMessage

    @property
    def trigger(self) -> NatsTrigger:
        """What the mesh has to do for it: the same as for a trigger."""
        awaited = self.awaited
        return NatsTrigger(
            subject=awaited.subject, format=awaited.format, capture=awaited.capture, stream=awaited.stream,
            at=awaited.at,
        )  # fmt: skip


def channels(workflow: Workflow) -> Iterator[Channel]:
    """Those of a workflow, in the order of its file."""
    for node in _all(workflow.nodes):
        message = node.params.get("message") if node.type == "wait" else None
        if isinstance(message, Mapping):
            yield Channel(workflow.name, node.id, _awaited(message))


def wait_key(workflow: str, node: str, awaited: AwaitedMessage, value: Json) -> str:
    """What a wait and its messages find each other by; `value` is that of `key`. Short, whatever the value is."""
    place = awaited.stream if awaited.at is At.OWN else [awaited.at, awaited.stream]
    said = encode_json([awaited.subject, awaited.key, awaited.format, place, awaited.capture])
    found = encode_json(value) if awaited.key is not None else b""
    digest = hashlib.sha256(said + b"\n" + found).hexdigest()
    return f"{workflow}/{node}/{digest[:32]}"


def check_awaited(message: Mapping[str, Json]) -> Iterator[Misfit]:
    """What is wrong with what a file says, beyond the kinds of its fields."""
    key = message.get("key")
    if isinstance(key, str):
        yield from _check_key(key)
        if "equals" not in message:
            yield ("key",), "there is no value to compare it with", 'add `equals: "{{ … }}"`, or remove the key'
    elif "equals" in message:
        yield ("equals",), "there is nothing to compare it with", "add `key: message.data.…`"
    try:
        awaited = _awaited(message)
    except msgspec.ValidationError as error:
        yield (), str(error), ""
        return
    yield from check_lane(Channel("", "", awaited).trigger)


def _awaited(message: Mapping[str, Json]) -> AwaitedMessage:
    """Without `equals`, which is evaluated later. Raises ValidationError."""
    return msgspec.convert({name: value for name, value in message.items() if name != "equals"}, AwaitedMessage)


def _check_key(source: str) -> Iterator[Misfit]:
    if source.strip().startswith("{{"):
        yield ("key",), "this field is an expression already", "remove the braces {{ }}"
        return
    try:
        program = compile_expression(source)
    except ExpressionError as error:
        yield ("key",), f"{error.message} (character {error.offset + 1} of {shown(source)})", error.hint
        return
    for reference in program.references:
        name = reference.path[0] if reference.path else None
        if reference.root != "message":
            yield (
                ("key",),
                f"{reference.root} is not known when a message arrives: only message is",
                "put what the execution knows into `equals`",
            )
        elif name is not None and name not in MESSAGE_FIELDS:
            yield ("key",), f"there is no message.{name}", suggestion(str(name), MESSAGE_FIELDS)


def _all(nodes: Mapping[str, Node]) -> Iterator[Node]:
    for node in nodes.values():
        yield node
        for body in node.bodies.values():
            yield from _all(body.nodes)

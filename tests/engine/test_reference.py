from typing import Annotated, Literal

import msgspec

from engine.contract import Done, Effect, NodeType, Role, Secret, Static
from engine.reference import ParamReference, describe


def meta(description: str) -> msgspec.Meta:
    return msgspec.Meta(description=description)


class Inner(msgspec.Struct, kw_only=True):
    user: Annotated[str, meta("Who.")]
    roles: Annotated[list[str | int | float], meta("What.")] = []


class Params(msgspec.Struct, kw_only=True):
    url: Annotated[str, Secret, meta("Where to.")]
    method: Annotated[Literal["GET", "PUT"], meta("How.")] = "GET"
    query: Annotated[dict[str, bool], meta("Which.")] = {}
    data: Annotated[msgspec.Raw | None, meta("Data.")] = None
    codes: Annotated[tuple[int, ...], Static, meta("Codes.")] = (0,)
    auth: Annotated[Inner | None, Secret, meta("Credentials.")] = None
    limit: Annotated[int | float | msgspec.UnsetType, meta("How many.")] = msgspec.UNSET


async def run(ctx, params) -> Done:
    return Done()


def reference_of(**changes):
    declared = {"description": "A type.", "effect": Effect.PURE, "example": "name: x", **changes}
    return describe(NodeType(name="sample", params=Params, run=run, **declared))


def row(name: str, kind: str, description: str, *, role=Role.TEMPLATE, required=False, default=msgspec.UNSET):
    return ParamReference(name=name, type=kind, description=description, role=role, required=required, default=default)


def test_each_parameter_is_a_row_and_those_inside_an_object_too() -> None:
    assert reference_of().params == (
        row("url", "string", "Where to.", role=Role.SECRET, required=True),
        row("method", "GET | PUT", "How.", default="GET"),
        row("query", "object of boolean", "Which.", default={}),
        row("data", "any", "Data."),
        row("codes", "list of integer", "Codes.", role=Role.STATIC, default=[0]),
        row("auth", "object", "Credentials.", role=Role.SECRET),
        row("auth.user", "string", "Who.", role=Role.SECRET, required=True),
        row("auth.roles", "list of (string | number)", "What.", role=Role.SECRET, default=[]),
        row("limit", "number", "How many."),
    )


def test_the_rest_is_the_types_own_words() -> None:
    reference = reference_of(ports=lambda written: (*written, "default"), aliases=("old",), pure_capable=True)
    assert (reference.name, reference.aliases, reference.description) == ("sample", ("old",), "A type.")
    assert (reference.effect, reference.pure_capable, reference.example) == (Effect.PURE, True, "name: x")
    assert reference.ports == ("default",)
    assert reference_of().ports == ()


def test_a_reference_can_be_written_as_json() -> None:
    assert b'"auth.user"' in msgspec.json.encode(reference_of())

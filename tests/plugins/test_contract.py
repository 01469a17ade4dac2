"""What every node type keeps to, ours and the engine's. A type that joins one of the two lists is held to it."""

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping

import msgspec
import pytest

from engine.contract import Done, Effect, Fail, NodeType, Outcome, Role, Wait, Wake, role_of
from engine.definition import Workflow, load_workflow
from engine.execution.control import control_types
from engine.expressions import Scope, compile_expression, compile_tree
from engine.planning.parameters import Parameters
from engine.ports import NoResponders, Reply
from engine.reference import describe
from engine.values import Json, decode_json, encode_json
from plugins.llm.nodes import llm_types
from plugins.nodes import builtin_types
from plugins.registry import Registry

TYPES = (*builtin_types(), *llm_types(None), *control_types())
COMMON = {
    "type", "nodes", "needs", "when", "join", "run_if", "timeout", "deadline", "retry", "on_error", "default",
    "critical", "cache", "effect", "placement", "limits", "output",
}  # fmt: skip
"""Fields of any node; a type may not have them as parameters."""

every_type = pytest.mark.parametrize("node_type", TYPES, ids=lambda node_type: node_type.name)


def structs_of(struct: type[msgspec.Struct]) -> Iterator[type[msgspec.Struct]]:
    """A params struct and those inside it."""
    yield struct
    for field in msgspec.structs.fields(struct):
        yield from _structs_in(msgspec.inspect.type_info(field.type))


def _structs_in(kind: msgspec.inspect.Type) -> Iterator[type[msgspec.Struct]]:
    if isinstance(kind, msgspec.inspect.Metadata):
        yield from _structs_in(kind.type)
    elif isinstance(kind, msgspec.inspect.UnionType):
        for member in kind.types:
            yield from _structs_in(member)
    elif isinstance(kind, msgspec.inspect.StructType):
        yield from structs_of(kind.cls)
    elif isinstance(kind, msgspec.inspect.ListType | msgspec.inspect.VarTupleType):
        yield from _structs_in(kind.item_type)
    elif isinstance(kind, msgspec.inspect.DictType):
        yield from _structs_in(kind.value_type)


def test_all_types_fit_into_one_registry() -> None:
    assert len(Registry(TYPES).names()) == len(TYPES)


@every_type
def test_a_type_has_a_name_and_one_paragraph_that_says_what_its_output_is(node_type: NodeType) -> None:
    for name in (node_type.name, *node_type.aliases):
        assert re.fullmatch(r"[a-z][a-z0-9_]*", name)
    assert 60 < len(node_type.description) < 1200
    assert "\n" not in node_type.description
    assert node_type.description.endswith(".")


@every_type
def test_parameters_are_frozen_by_name_and_refuse_unknown_fields(node_type: NodeType) -> None:
    for struct in structs_of(node_type.params):
        assert struct.__struct_config__.frozen
        assert struct.__struct_config__.forbid_unknown_fields
        parameters = inspect.signature(struct).parameters.values()
        assert all(parameter.kind is inspect.Parameter.KEYWORD_ONLY for parameter in parameters)
        with pytest.raises(msgspec.ValidationError, match="unknown field `no_such_field`"):
            msgspec.convert({"no_such_field": 1}, struct)


@every_type
def test_every_parameter_is_described_and_is_not_a_field_of_any_node(node_type: NodeType) -> None:
    for param in describe(node_type).params:
        assert len(param.description) > 10, param.name
        assert param.description.endswith("."), param.name
        assert param.type, param.name
        assert re.fullmatch(r"[a-z][a-z0-9_]*(\.(NAME|[a-z][a-z0-9_]*))*", param.name)
        assert param.name not in COMMON - ({"nodes", "output"} if node_type.bodies else set())


@every_type
def test_every_default_is_json_and_fits_its_own_type(node_type: NodeType) -> None:
    fields = {field.encode_name: field for field in msgspec.structs.fields(node_type.params)}
    for param in describe(node_type).params:
        if param.default is not msgspec.UNSET and param.name in fields:
            value = decode_json(encode_json(param.default))
            assert msgspec.to_builtins(msgspec.convert(value, fields[param.name].type)) is not None


@every_type
def test_a_secret_parameter_has_no_rule_that_would_look_at_its_mask(node_type: NodeType) -> None:
    for field in msgspec.structs.fields(node_type.params):
        if role_of(field) is Role.SECRET:
            assert not re.search(
                r"(pattern|min_length|max_length)=(?!None)", repr(msgspec.inspect.type_info(field.type))
            )


@every_type
def test_a_pure_type_says_so_and_takes_no_secrets(node_type: NodeType) -> None:
    assert inspect.iscoroutinefunction(node_type.run)
    if node_type.effect is Effect.PURE:
        assert node_type.pure_capable
    if node_type.pure_capable:
        assert all(role_of(field) is not Role.SECRET for field in msgspec.structs.fields(node_type.params))


@every_type
def test_ports_are_names_also_before_anything_is_written(node_type: NodeType) -> None:
    if node_type.ports is not None:
        for written in ({}, {"cases": None}, {"cases": {"a": 1}}):
            ports = node_type.ports(written)
            assert ports
            assert len(set(ports)) == len(ports)
            assert all(re.fullmatch(r"[a-z][a-z0-9_]*", port) for port in ports)


# --- the examples ---------------------------------------------------------------------------------------------------

ENDS = {"fail": "failed"}
"""How a type's example ends where it does not end completed. Those of the engine's own types run on an engine: see
test_an_example_of_a_control_type_completes."""


class Squares:
    """A service that the example of `request` asks."""

    async def request(self, subject: str, body: bytes, *, headers: Mapping[str, str], timeout: float) -> Reply:
        if subject != "math.square":
            raise NoResponders
        return Reply(encode_json(decode_json(body)["value"] ** 2), {})


@pytest.mark.parametrize("node_type", builtin_types(), ids=lambda node_type: node_type.name)
async def test_the_example_runs_to_its_expected_end(node_type: NodeType, ctx, client, server, reply, pure) -> None:
    server.answer(reply(200, b'{"ok": true}', content_type="application/json"))
    ctx.client, ctx.requester = client, Squares()
    declared = load_workflow(node_type.example.encode(), types=Registry(TYPES), filename=f"{node_type.name}.yaml")
    assert node_type.name in {node.type for node in declared.nodes.values()}
    bound = {**declared.bound, "url": server.url} if "url" in declared.params else declared.bound
    assert await run_in_order(declared, bound, ctx, pure, TYPES) == ENDS.get(node_type.name, "completed")


async def test_the_example_of_llm_is_answered_by_the_local_model(ctx, client, models, pure) -> None:
    ctx.client = client
    types = llm_types(models)
    [llm] = [node_type for node_type in types if node_type.name == "llm"]
    declared = load_workflow(llm.example.encode(), types=Registry(types), filename="llm.yaml")
    assert await run_in_order(declared, declared.bound, ctx, pure, types) == "completed"
    assert "critical" in "".join(ctx.streamed)


async def run_in_order(
    workflow: Workflow, bound: Mapping[str, Json], ctx, pure: Callable[..., Outcome], known: Iterable[NodeType]
) -> str:
    """The nodes of a small workflow one after the other, as written; how it ended."""
    outputs: dict[str, Json] = {}
    taken: dict[str, str | None] = {}
    types = Registry(known)
    scope = Scope({"params": dict(bound), "nodes": outputs}, now=ctx.now, seed="x1")
    for node in workflow.nodes.values():
        wanted = all(need.node in taken and need.port in (None, taken[need.node]) for need in node.needs)
        if not wanted or (node.when is not None and not compile_expression(node.when).evaluate(scope)):
            continue
        node_type = types.get(node.type)
        assert node_type is not None
        params = Parameters(node_type.params, node.params).evaluate(scope)
        ctx.pure = node.effect is Effect.PURE
        ctx.wake = None
        outcome = pure(node_type, ctx, params) if ctx.pure else await node_type.run(ctx, params)
        if isinstance(outcome, Wait):
            ctx.wake = Wake(outcome.until, outcome.memo)
            outcome = await node_type.run(ctx, params)
        if isinstance(outcome, Fail):
            return "failed"
        assert isinstance(outcome, Done), outcome
        outputs[node.id], taken[node.id] = outcome.output, outcome.port
    if workflow.outputs is not msgspec.UNSET:
        compile_tree(workflow.outputs).evaluate(scope)
    return "completed"

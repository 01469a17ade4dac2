"""`cache` of a node: under which key its result is kept, and whether there is one.

parameters ──> key ──> an entry ──> the node completes with it, without an attempt
                   └─> none     ──> an attempt; its result is kept with its checkpoint
"""

import hashlib

import msgspec

from engine.contract import Done, Fail
from engine.execution.context import AttemptContext
from engine.execution.inputs import Inputs
from engine.execution.recall import Cache, Recall
from engine.expressions import ExpressionError
from engine.planning.plan import PlannedNode
from engine.secrets import SecretName, SecretText
from engine.values import Json


async def recalled(
    cache: Cache, node: PlannedNode, inputs: Inputs, ctx: AttemptContext, params: msgspec.Struct
) -> Done | Fail | None:
    """The result that is kept for such a run; None where it has to happen. `ctx.recall` says which it was."""
    rules = node.node.cache
    if rules is None:
        return None
    try:
        key = _key(node, None if node.cache_key is None else (inputs.cache_key(node),), params)
    except ExpressionError as error:
        return Fail(f"cache.key: {error}", kind="expression")
    except (TypeError, ValueError) as error:
        return Fail(f"cache: its parameters make no key, write `key: …`: {error}", kind="invalid")
    ctx.recall = Recall(key, rules.ttl, None)
    if ctx.attempt > 1 or ctx.wake is not None:
        return None
    found = await cache.find(ctx.workflow, key)
    if found is None or found.port not in node.ports:  # kept by another version of the workflow
        return None
    ctx.recall = Recall(key, rules.ttl, found)
    return Done(msgspec.json.decode(found.output), found.port)


def _key(node: PlannedNode, said: tuple[Json] | None, params: msgspec.Struct) -> bytes:
    """A hash, so that nothing of the parameters stands in the store; of secrets only the names go into it.

    `said` is the value of the file's own key, which stands for this node as it is written. Without one, nodes of one
    type with the same parameters share what is kept.
    """
    parts = (node.type.name, params) if said is None else (node.node.id, node.type.name, node.node.params, said[0])
    return hashlib.sha256(_encoder.encode(parts)).digest()


def _named(value: object) -> Json:
    """A secret by its name."""
    if isinstance(value, SecretText):
        return [[isinstance(part, SecretName), str(part)] for part in value.parts]
    raise TypeError(f"a {type(value).__name__} is not JSON data")


_encoder = msgspec.json.Encoder(enc_hook=_named, order="deterministic")

"""The node contract: what a node type is, what its code may use, and how an attempt ends.

Built-in types, plugins and WASM components alike are described by one `NodeType`. From it come validation, the
generated reference, the JSON Schema for editors and the forms of the dashboard. The engine calls `run` once per
attempt, with parameters already evaluated and decoded; the code answers with an `Outcome`. Unreachable, NoResponders
and TimeoutError may escape it (they become `Retry`), and UnknownSecret, StateRefused and LimitReached (they become
`Fail`); any other exception is a bug and is reported as one.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from enum import StrEnum
from typing import Annotated, Any, Protocol, TypeAlias

import msgspec

from engine.construct import Body, Construct
from engine.outcome import Done, Expectation, Fail, Outcome, Retry, Wait, Wake
from engine.ports import Http, Reply
from engine.values import Json

__all__ = [
    "Body",
    "Child",
    "CannotStart",
    "Condition",
    "Construct",
    "Context",
    "Done",
    "Effect",
    "Expectation",
    "Fail",
    "Inner",
    "LimitReached",
    "Misfit",
    "NodeType",
    "NodeTypes",
    "Outcome",
    "Reservation",
    "Retry",
    "Role",
    "Secret",
    "State",
    "StateRefused",
    "Static",
    "Wait",
    "Wake",
    "role_of",
]


class Effect(StrEnum):
    """What a second run of a finished attempt would do to the world."""

    PURE = "pure"
    """Nothing: recomputed, it gives the same bytes; it gets no http, publish, request, state or secret."""
    AT_LEAST_ONCE = "at_least_once"
    """Repeat it after a crash, with the same idempotency key."""
    AT_MOST_ONCE = "at_most_once"
    """Never repeat it by itself: an attempt that did not return is in doubt until a person resolves it."""


class LimitReached(Exception):
    """A limit of the node or of its workflow refuses what was asked for. Let it pass: it ends the attempt as a failure
    of the kind `limit`."""

    def __init__(self, limit: str, message: str) -> None:
        super().__init__(message)
        self.limit = limit
        """Such as `api_calls`."""


# --- what an attempt may use ---------------------------------------------------------------------------------------


class Child(msgspec.Struct, frozen=True, kw_only=True):
    """Another execution to be started by a node."""

    workflow: str = ""
    """The name of a deployed workflow, or name@version."""
    file: str = ""
    """Instead: a workflow file under the directory of workflow files."""
    data: Json | msgspec.UnsetType = msgspec.UNSET
    """Its `trigger.data`."""
    params: Mapping[str, Json] = {}
    inherit: tuple[str, ...] = ()
    """What it gets of this execution: trigger, params, vars."""
    max_depth: int = 16
    """How many executions there may be above it."""
    detached: bool = False
    """Nobody waits for it: it goes on whatever becomes of this execution."""


class CannotStart(ValueError):
    """A child that can't be started; the message says why and what to do. `kind` is one word for conditions."""

    def __init__(self, message: str, kind: str = "invalid") -> None:
        super().__init__(message)
        self.kind = kind


class StateRefused(ValueError):
    """A value that can't be kept, or a change that can't be made; the message says why and what to do."""


class State(Protocol):
    """Durable values of a workflow by key: for all its executions, through restarts. Keys have up to 256 bytes, values
    up to 64 KiB, a workflow up to 10,000 keys. All raise StateRefused.

    A change is on the disk when it returns, and happens once however often the attempt is repeated: a repetition gets
    what was given before. So a node must make the same changes in the same order each time it is tried.
    """

    async def get(self, key: str, default: Json = None) -> Json:
        """The value now; `default` where there is none."""
        ...

    async def set(self, key: str, value: Json) -> None: ...

    async def incr(self, key: str, by: int | float = 1) -> int | float:
        """Add to a number, which is 0 where there is none; the sum."""
        ...

    async def delete(self, key: str) -> bool:
        """Whether there was anything."""
        ...

    async def compare_and_set(self, key: str, expected: Json, value: Json) -> bool:
        """Set if the value is the expected one; null also stands for none. Whether it was."""
        ...


class Reservation(Protocol):
    """Tokens that were promised to an attempt."""

    def settle(self, tokens: int) -> None:
        """Replace the promise by the number that was used; the rest is free for others. What is not settled when the
        attempt ends counts in full."""
        ...


class Context(Protocol):
    """What a node's code may use. One object per attempt; not to be kept after `run` returns."""

    execution: str
    workflow: str
    path: str
    """Where the node stands in the execution, such as `alert` or `scan[17]/fetch`."""
    attempt: int
    """1 for the first try."""
    wake: Wake | None

    @property
    def idempotency_key(self) -> str:
        """32 hex digits: the same on retry and after a crash, different for every other node and execution."""
        ...

    @property
    def deadline(self) -> float | None:
        """Monotonic seconds of the engine's clock at which this attempt is cut off; None without a limit."""
        ...

    def seconds_left(self) -> float | None:
        """Seconds until the deadline, at least 0; None without one."""
        ...

    @property
    def cancelled(self) -> bool:
        """The execution is being cancelled: stop soon and return what there is."""
        ...

    @property
    def now(self) -> int:
        """Microseconds since 1970, from the engine's clock."""
        ...

    @property
    def http(self) -> Http:
        """An HTTP client; each exchange counts as an API call. Raises LimitReached beside its own errors."""
        ...

    async def request(self, subject: str, body: bytes, *, headers: Mapping[str, str], timeout: float) -> Reply:
        """NATS request-reply. Raises ports.Unreachable, ports.NoResponders or TimeoutError, LimitReached."""
        ...

    async def reserve_tokens(self, tokens: int) -> Reservation:
        """Before a language model is called: promise the most that it may read and write. Waits while attempts beside
        it hold what may become free; raises LimitReached if there is not enough."""
        ...

    def publish(self, subject: str, body: bytes, *, headers: Mapping[str, str] | None = None) -> None:
        """Publish with the checkpoint of this attempt: sent if and only if the attempt's result is committed."""
        ...

    @property
    def state(self) -> State:
        """The workflow's durable values."""
        ...

    async def start(self, child: Child) -> str:
        """Start an execution of another workflow with the checkpoint of this attempt: it exists if and only if the
        attempt's result, or its wait, is committed. Gives its id, to be expected (kind `execution`) or told. Raises
        CannotStart."""
        ...

    def waiting(self, reason: str) -> AbstractContextManager[None]:
        """Within the block the attempt waits for its turn with something that many share; `ps` and `show` say so.
        `reason` is a few words, such as `model triage-tiny, 3 before it`; a block inside another one replaces it."""
        ...

    async def remembered(self, scope: str, key: bytes) -> Json | msgspec.UnsetType:
        """What an attempt of this or another workflow remembered under a key, while it is fresh; else UNSET."""
        ...

    def remember(self, scope: str, key: bytes, value: Json, *, ttl: float) -> None:
        """Keep a value of up to 64 KiB for all workflows of this agent, `ttl` seconds long, with the checkpoint of this
        attempt; of one `scope` the 1,000 last used ones. It is a help and no record: it may be gone at any time."""
        ...

    def secret(self, text: str) -> str:
        """The real text behind a value that may hold secrets. Never put it into an output, error, log or event."""
        ...

    def log(self, message: str, *, level: str = "info", **fields: Json) -> None:
        """A line in the agent's log, marked with execution and node."""
        ...

    def emit(self, progress: float | None = None, message: str = "", **data: Json) -> None:
        """A live `progress.update` event; best effort."""
        ...

    def stream(self, text: str) -> None:
        """More of a text that is being written, as a live `llm.token` event; best effort. Pieces that come close
        together may be told as one. An empty one says that what came before is void."""
        ...


# --- what a node type is -------------------------------------------------------------------------------------------


class Role(StrEnum):
    """How a parameter's text is read."""

    TEMPLATE = "template"
    """Strings are texts with `{{ }}`, evaluated per attempt (the default)."""
    EXPRESSION = "expression"
    """A string is one expression without braces, evaluated per attempt."""
    STATIC = "static"
    """Read at deploy: may use `params` only. Also a mark of single fields inside an object."""
    RAW = "raw"
    """Inside an object: handed over as it is written; the type's `check` reads it."""
    SECRET = "secret"  # noqa: S105 - a role's name
    """A template that may hold `secrets.<NAME>`; the code must pass it through `ctx.secret`."""
    BODY = "body"
    """Belongs to a body of a control-flow type: its nodes, or what is evaluated in its scope (see `Body`)."""


Condition = Annotated[Any, msgspec.Meta(extra={"role": Role.EXPRESSION})]
"""Field type of an expression whose value is handed over as it is."""
Static = msgspec.Meta(extra={"role": Role.STATIC})
"""Mark of a field read at deploy: `Annotated[str, Static]`."""
Secret = msgspec.Meta(extra={"role": Role.SECRET})
"""Mark of a secret-capable field: `Annotated[str, Secret]`."""
Inner = msgspec.Meta(extra={"role": Role.BODY})
"""Mark of a field that belongs to a body: `Annotated[Json, Inner]`."""


def role_of(field: msgspec.structs.FieldInfo) -> Role:
    """The role of a field of a node type's params struct; the mark may stand around a union or inside it."""
    kind = msgspec.inspect.type_info(field.type)
    for part in (kind, *(kind.types if isinstance(kind, msgspec.inspect.UnionType) else ())):
        if isinstance(part, msgspec.inspect.Metadata) and part.extra and "role" in part.extra:
            return Role(part.extra["role"])
    return Role.TEMPLATE


Misfit: TypeAlias = tuple[tuple[str | int, ...], str, str]
"""Something wrong with a node's fields: where (keys from the node's object), what, and what to do."""


class NodeType(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that a node can do."""

    name: str
    """`[a-z][a-z0-9_]*`; stored in definitions, so a renamed type keeps its old name as an alias."""
    description: str
    """One paragraph for the reference: what it does, what its output is, when it fails."""
    params: type[msgspec.Struct]
    """The typed parameters, `forbid_unknown_fields`; field descriptions through `msgspec.Meta(description=...)`."""
    run: Callable[[Context, Any], Awaitable[Outcome]]
    """One attempt. A type with a `construct` is never run."""
    effect: Effect
    """What it is unless the node says otherwise."""
    pure_capable: bool = False
    """May a node of this type say `effect: pure`? A pure run must not suspend."""
    ports: Callable[[Mapping[str, Json]], tuple[str, ...]] | None = None
    """Names of the outlets, from the node's parameters as written; None for a type that does not branch."""
    check: Callable[[Mapping[str, Json]], Iterable[Misfit]] | None = None
    """What is wrong with the parameters as written, static ones evaluated, beyond the kinds of single fields."""
    bodies: Mapping[str, Body] = {}
    """The groups of nodes that a control-flow type holds, by name, in the order in which a file shows them."""
    construct: Callable[[Any, Mapping[str, tuple[str, ...]]], Construct] | None = None
    """Makes the state machine of a type with bodies, from evaluated parameters and from the bodies that the file gives,
    each with the names of `Body.names`. Raises ValueError for unfit parameters."""
    transcribes: bool = False
    """The construct is a `Conversation`, too: people are shown what was said."""
    example: str
    """A whole workflow in YAML, small, that shows it; a test runs it."""
    aliases: tuple[str, ...] = ()


class NodeTypes(Protocol):
    """The node types that an agent knows."""

    def get(self, name: str) -> NodeType | None:
        """The type of this name or alias."""
        ...

    def names(self) -> tuple[str, ...]:
        """All names, sorted, for suggestions and the reference."""
        ...

    def disabled(self, name: str) -> str | None:
        """Why a known type is off on this agent and how to turn it on; None if it is not."""
        ...

"""What the parser makes of a source: plain immutable nodes, each with the offset of its first character."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import TypeAlias

from engine.values import Json


@dataclass(frozen=True, slots=True)
class Literal:
    offset: int
    value: Json


@dataclass(frozen=True, slots=True)
class Key:
    """`.name`, `["name"]` or `[0]`."""

    offset: int
    key: str | int


@dataclass(frozen=True, slots=True)
class Index:
    """`[expression]`."""

    offset: int
    node: "Node"


@dataclass(frozen=True, slots=True)
class Slice:
    """`[start:stop]`."""

    offset: int
    start: "Node | None"
    stop: "Node | None"


Segment: TypeAlias = Key | Index | Slice


@dataclass(frozen=True, slots=True)
class Path:
    """`root.a[0]`, where root is a name or an expression in brackets."""

    offset: int
    root: "str | Node"
    segments: tuple[Segment, ...]


@dataclass(frozen=True, slots=True)
class Children:
    """`.*` or `[*]` of a JSONPath."""

    offset: int


@dataclass(frozen=True, slots=True)
class Descendants:
    """`..name`, or `..*` where the name is None."""

    offset: int
    name: str | None


@dataclass(frozen=True, slots=True)
class Matching:
    """`[?(condition)]` of a JSONPath; `@` is the local name "@"."""

    offset: int
    condition: "Node"


Step: TypeAlias = Key | Children | Descendants | Matching


@dataclass(frozen=True, slots=True)
class Query:
    """A JSONPath that may give more than one value; what it starts at, then its steps."""

    offset: int
    base: "Node"
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class ListNode:
    offset: int
    items: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class ObjectNode:
    offset: int
    keys: tuple["Node", ...]
    values: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Sign:
    """Unary `-` or `+`."""

    offset: int
    operator: str
    operand: "Node"


@dataclass(frozen=True, slots=True)
class Chain:
    """Operators of one precedence, left to right: arithmetic, or comparisons, whose chain reads `a < b < c`."""

    offset: int
    first: "Node"
    rest: tuple[tuple[str, int, "Node"], ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    offset: int
    first: "Node"
    rest: tuple[tuple[str, int, "Node"], ...]


@dataclass(frozen=True, slots=True)
class Concatenation:
    """`a ~ b ~ c`."""

    offset: int
    parts: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Logic:
    """`a and b and c`, or the same with `or`."""

    offset: int
    operator: str
    parts: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Not:
    offset: int
    operand: "Node"


@dataclass(frozen=True, slots=True)
class Conditional:
    """`then if condition else otherwise`."""

    offset: int
    condition: "Node"
    then: "Node"
    otherwise: "Node"


@dataclass(frozen=True, slots=True)
class Arguments:
    positional: tuple["Node", ...] = ()
    named: tuple[tuple[str, int, "Node"], ...] = ()


@dataclass(frozen=True, slots=True)
class Call:
    """`name(…)`."""

    offset: int
    name: str
    arguments: Arguments


@dataclass(frozen=True, slots=True)
class Filtered:
    """`operand|name(…)`; the offset is the name's."""

    offset: int
    operand: "Node"
    name: str
    arguments: Arguments


@dataclass(frozen=True, slots=True)
class Tested:
    """`operand is name(…)`; the offset is the name's."""

    offset: int
    operand: "Node"
    name: str
    arguments: Arguments
    negated: bool


@dataclass(frozen=True, slots=True)
class Text:
    """Literal text, `{{ }}` and blocks, in order; always gives a string."""

    offset: int
    parts: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class If:
    """`{% if %}`: (condition, body) pairs, then the body of `{% else %}`."""

    offset: int
    branches: tuple[tuple["Node", Text], ...]
    otherwise: Text


@dataclass(frozen=True, slots=True)
class For:
    """`{% for names in items if condition %}`; `otherwise` where nothing was looped over."""

    offset: int
    names: tuple[str, ...]
    items: "Node"
    condition: "Node | None"
    body: Text
    otherwise: Text


Node: TypeAlias = (
    Literal | Path | Query | ListNode | ObjectNode | Sign | Chain | Comparison | Concatenation | Logic | Not
    | Conditional | Call | Filtered | Tested | Text | If | For
)  # fmt: skip


def is_item(node: Node) -> bool:
    """Whether a node is a path from the item of a JSONPath's condition: `@.x`."""
    return isinstance(node, Path) and node.root == "@"


def nodes_of(node: object) -> Iterator[object]:
    """A tree's nodes, without the bodies of loops inside it: those pay for themselves."""
    pending = [node]
    while pending:
        current = pending.pop()
        if isinstance(current, tuple):
            pending.extend(current)
        elif is_dataclass(current):
            yield current
            skipped = "body" if isinstance(current, For) else ""
            pending.extend(getattr(current, one.name) for one in fields(current) if one.name != skipped)


def size_of(node: object) -> int:
    """About how many steps one evaluation of a node is worth: calls take several times as long as operators."""
    return sum(4 if isinstance(one, Call | Filtered | Tested) else 1 for one in nodes_of(node))

"""What the parser makes of a source: plain immutable nodes, each with the offset of its first character."""

from collections.abc import Iterator
from typing import TypeAlias

from msgspec import Struct

from engine.values import Json


class Literal(Struct, frozen=True):
    offset: int
    value: Json


class Key(Struct, frozen=True):
    """`.name`, `["name"]` or `[0]`."""

    offset: int
    key: str | int


class Index(Struct, frozen=True):
    """`[expression]`."""

    offset: int
    node: "Node"


class Slice(Struct, frozen=True):
    """`[start:stop]`."""

    offset: int
    start: "Node | None"
    stop: "Node | None"


Segment: TypeAlias = Key | Index | Slice


class Path(Struct, frozen=True):
    """`root.a[0]`, where root is a name or an expression in brackets."""

    offset: int
    root: "str | Node"
    segments: tuple[Segment, ...]


class Children(Struct, frozen=True):
    """`.*` or `[*]` of a JSONPath."""

    offset: int


class Descendants(Struct, frozen=True):
    """`..name`, or `..*` where the name is None."""

    offset: int
    name: str | None


class Matching(Struct, frozen=True):
    """`[?(condition)]` of a JSONPath; `@` is the local name "@"."""

    offset: int
    condition: "Node"


Step: TypeAlias = Key | Children | Descendants | Matching


class Query(Struct, frozen=True):
    """A JSONPath that may give more than one value; what it starts at, then its steps."""

    offset: int
    base: "Node"
    steps: tuple[Step, ...]


class ListNode(Struct, frozen=True):
    offset: int
    items: tuple["Node", ...]


class ObjectNode(Struct, frozen=True):
    offset: int
    keys: tuple["Node", ...]
    values: tuple["Node", ...]


class Sign(Struct, frozen=True):
    """Unary `-` or `+`."""

    offset: int
    operator: str
    operand: "Node"


class Chain(Struct, frozen=True):
    """Operators of one precedence, left to right: arithmetic, or comparisons, whose chain reads `a < b < c`."""

    offset: int
    first: "Node"
    rest: tuple[tuple[str, int, "Node"], ...]


class Comparison(Struct, frozen=True):
    offset: int
    first: "Node"
    rest: tuple[tuple[str, int, "Node"], ...]


class Concatenation(Struct, frozen=True):
    """`a ~ b ~ c`."""

    offset: int
    parts: tuple["Node", ...]


class Logic(Struct, frozen=True):
    """`a and b and c`, or the same with `or`."""

    offset: int
    operator: str
    parts: tuple["Node", ...]


class Not(Struct, frozen=True):
    offset: int
    operand: "Node"


class Conditional(Struct, frozen=True):
    """`then if condition else otherwise`."""

    offset: int
    condition: "Node"
    then: "Node"
    otherwise: "Node"


class Arguments(Struct, frozen=True):
    positional: tuple["Node", ...] = ()
    named: tuple[tuple[str, int, "Node"], ...] = ()


class Call(Struct, frozen=True):
    """`name(…)`."""

    offset: int
    name: str
    arguments: Arguments


class Filtered(Struct, frozen=True):
    """`operand|name(…)`; the offset is the name's."""

    offset: int
    operand: "Node"
    name: str
    arguments: Arguments


class Tested(Struct, frozen=True):
    """`operand is name(…)`; the offset is the name's."""

    offset: int
    operand: "Node"
    name: str
    arguments: Arguments
    negated: bool


class Text(Struct, frozen=True):
    """Literal text, `{{ }}` and blocks, in order; always gives a string."""

    offset: int
    parts: tuple["Node", ...]


class If(Struct, frozen=True):
    """`{% if %}`: (condition, body) pairs, then the body of `{% else %}`."""

    offset: int
    branches: tuple[tuple["Node", Text], ...]
    otherwise: Text


class For(Struct, frozen=True):
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
        elif isinstance(current, Struct):
            yield current
            skipped = "body" if isinstance(current, For) else ""
            pending.extend(getattr(current, name) for name in current.__struct_fields__ if name != skipped)


def size_of(node: object) -> int:
    """About how many steps one evaluation of a node is worth: calls take several times as long as operators."""
    return sum(4 if isinstance(one, Call | Filtered | Tested) else 1 for one in nodes_of(node))

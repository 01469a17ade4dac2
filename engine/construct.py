"""Nodes that hold nodes: what a control-flow type says of its bodies, and how it decides what runs next.

A construct is a pure state machine. The engine asks `next` until it waits or ends, runs the bodies that it opens, and
tells it how each ended. After a crash the same questions are asked again: bodies that had ended are told from their
rows, so that nothing is run twice and a construct needs no memory of its own.
"""

from collections.abc import Callable, Mapping
from typing import Protocol, runtime_checkable

import msgspec

from engine.outcome import Done, Fail
from engine.states import NodeState
from engine.values import Json

__all__ = ["Body", "Construct", "Conversation", "Ending", "Opening"]


def _none(_: Mapping[str, Json]) -> tuple[str, ...]:
    return ()


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """One group of nodes inside a node. Paths are keys from the node's own object, such as `("catch", "nodes")`."""

    at: tuple[str, ...] = ("nodes",)
    """Where its nodes stand."""
    names: Callable[[Mapping[str, Json]], tuple[str, ...]] = _none
    """What its expressions see besides the enclosing scope (`item`, `index`), from the node's fields as written."""
    before: tuple[str, ...] | None = None
    """An expression asked before it is opened, in its scope; false means that it is not."""
    after: Mapping[str, tuple[str, ...]] = {}
    """Texts evaluated when its nodes have settled, in its scope: name -> where they stand. Where no text stands,
    `output` is that of its only node; `()` is a place where none can."""
    asks: Mapping[str, tuple[str, ...]] = {}
    """The same for expressions without braces."""
    sees: tuple[str, ...] = ()
    """Bodies of the same node that come before: their nodes are in its scope."""
    shielded: bool = False
    """It also runs when the construct is stopped."""
    made: Callable[[Mapping[str, Json]], Mapping[str, Json] | None] | None = None
    """Instead of standing in the file, its nodes are made from the node's fields as written (of whatever kind they
    are), in the form of a file: name -> fields. They do not see each other and hold no nodes; their names need not be
    unique in the file, and nothing outside can refer to them. What is wrong with them is told at the node itself.
    None: there is no such body. An empty object: it has no nodes, only what `after` and `asks` give."""
    choice: Callable[[str], tuple[str, ...]] | None = None
    """Each opening runs one of its nodes alone (`Opening.only`), so that they do not see each other. Given the name of
    one, it says where the text stands that gives the body's `output` then, in its scope; without that text it is the
    node's own output."""
    handled: bool = False
    """The construct goes on when it fails: to run the construct again is no reason to run this body again."""


class Opening(msgspec.Struct, frozen=True):
    """Run a body once."""

    body: str
    """Which one, by its name in `NodeType.bodies`."""
    suffix: str
    """Its place under the node's path: `[17]`, `/catch`, `/pages[0]`; unique within the construct."""
    names: Mapping[str, Json] = {}
    """The values of `Body.names`."""
    only: str = ""
    """Of a body that is a `choice`: the node that runs. Empty for all nodes."""


class Ending(msgspec.Struct, frozen=True):
    """How a body ended."""

    opening: Opening
    state: NodeState
    """completed, failed or cancelled."""
    values: Mapping[str, Json] = {}
    """What `after` and `asks` gave; empty unless it completed."""
    kind: str = ""
    """Of the error of a failed one."""
    message: str = ""
    node: str = ""
    """The path of the node that failed."""


class Construct(Protocol):
    """One run of a control-flow node. Calls come one at a time, from the event loop; none may block."""

    concurrency: int
    """How many bodies may be open at once."""

    def next(self) -> Opening | Done | Fail | None:
        """What to do now: open a body, end, or (None) wait for an open one to end."""
        ...

    def refused(self, opening: Opening) -> None:
        """The body's `before` was false."""
        ...

    def ended(self, ending: Ending) -> None:
        """A body ended; perhaps before a crash. Endings of concurrent bodies come in any order."""
        ...

    def stop(self) -> None:
        """The execution is cancelled, or fails elsewhere: open nothing more, except what is shielded."""
        ...


@runtime_checkable
class Conversation(Protocol):
    """What a construct may have beside that: who said what so far, to be shown to people."""

    def transcript(self) -> list[dict[str, Json]]:
        """In order, {role, content} each, and as the construct has it {calls: [{name, arguments}]} of who wants
        something done, {tool} of what came of that."""
        ...

"""`foreach`: the same nodes for each item of a list, several at a time; the list may come page by page."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

import msgspec

from engine.construct import Body, Ending, Opening
from engine.contract import Condition, Context, Done, Effect, Fail, Inner, NodeType, Outcome, Static
from engine.states import NodeState
from engine.values import Json, kind_of

MAX_ITERATIONS = 1_000_000
MAX_TOLD = 3
"""Failed iterations that an error names."""


class OnItemError(StrEnum):
    FAIL = "fail"
    """No further iteration begins, those under way end, the node fails."""
    CONTINUE = "continue"
    """Its place in the result is null; the others go on."""


class Pages(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a list comes from that comes page by page."""

    nodes: Annotated[
        dict[str, Json],
        msgspec.Meta(description="Nodes that get one page; they see `cursor` (null at first) and `page` (from 0)."),
    ]
    items: Annotated[str, msgspec.Meta(description="An expression: the page's list of items.")]
    next: Annotated[
        str, msgspec.Meta(description="An expression: the cursor of the next page; null or undefined after the last.")
    ]


class ForeachParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    nodes: Annotated[
        dict[str, Json], Inner, msgspec.Meta(description="The nodes of one iteration; they see the item and `index`.")
    ]
    items: Annotated[Condition, msgspec.Meta(description="An expression that gives a list. Either this or pages.")] = (
        None
    )
    pages: Annotated[
        Pages | None, Inner, msgspec.Meta(description="Nodes that fetch the list page by page, instead of items.")
    ] = None
    name: Annotated[str, Static, msgspec.Meta(description="What an iteration calls its item.")] = msgspec.field(
        default="item", name="as"
    )
    concurrency: Annotated[
        int, Static, msgspec.Meta(ge=1, le=1000, description="Iterations that run at the same time.")
    ] = 1
    max_iterations: Annotated[
        int, Static, msgspec.Meta(ge=1, le=MAX_ITERATIONS, description="A longer list fails the node before it begins.")
    ] = 1000
    on_item_error: Annotated[
        OnItemError,
        Static,
        msgspec.Meta(description="fail: a failed iteration fails the node. continue: it gives null, the others go on."),
    ] = OnItemError.FAIL
    max_failures: Annotated[
        Annotated[int, msgspec.Meta(ge=0)] | None,
        Static,
        msgspec.Meta(description="With continue: more failed iterations than this fail the node."),
    ] = None
    output: Annotated[
        Json, Inner, msgspec.Meta(description="What an iteration gives; without it, the output of its only node.")
    ] = None


class Foreach:
    """One run of a `foreach` node."""

    def __init__(self, params: ForeachParams, bodies: Mapping[str, tuple[str, ...]]) -> None:
        """Raises ValueError for items that are no list, or too many."""
        self.concurrency = params.concurrency
        self._params = params
        self._names = bodies["nodes"]
        self._items: list[Json] = []
        self._results: list[Json] = []
        self._open = 0
        self._begun = 0
        self._pages = 0
        self._cursor: Json = None
        self._more = "pages" in bodies
        self._failed: list[Ending] = []
        self._failures = 0
        self._stopping = False
        if self._more:
            if params.items is not None:
                raise ValueError("it has both items and pages: remove one")
        else:
            if not isinstance(params.items, list):
                raise ValueError(f"items gave {kind_of(params.items)}, not a list")
            self._take(params.items)

    def next(self) -> Opening | Done | Fail | None:
        if self._ends_early:
            return None if self._open else self._failure()
        if self._begun < len(self._items):
            index, item = self._begun, self._items[self._begun]
            self._begun += 1
            self._open += 1
            return Opening("nodes", f"[{index}]", dict(zip(self._names, (item, index), strict=True)))
        if self._open:
            return None
        if self._more:
            self._open += 1
            return Opening("pages", f"/pages[{self._pages}]", {"cursor": self._cursor, "page": self._pages})
        return Done(self._results)

    def refused(self, opening: Opening) -> None:
        raise RuntimeError("a foreach has no condition")

    def ended(self, ending: Ending) -> None:
        self._open -= 1
        if ending.opening.body == "pages":
            self._page(ending)
        elif ending.state is NodeState.COMPLETED:
            self._results[int(ending.opening.suffix[1:-1])] = ending.values.get("output")
        else:
            self._fail(ending)

    def stop(self) -> None:
        self._stopping = True

    @property
    def _ends_early(self) -> bool:
        if self._stopping or (self._failed and self._failed[0].opening.body == "pages"):
            return True
        if self._params.on_item_error is OnItemError.FAIL:
            return self._failures > 0
        limit = self._params.max_failures
        return limit is not None and self._failures > limit

    def _fail(self, ending: Ending) -> None:
        self._failures += 1
        if len(self._failed) < MAX_TOLD:
            self._failed.append(ending)

    def _failure(self) -> Fail:
        if not self._failed:
            return Fail("stopped", kind="cancelled")
        first = self._failed[0]
        where = f"{first.node or first.opening.suffix}: {first.message}"
        more = f" (and {self._failures - 1} more)" if self._failures > 1 else ""
        return Fail(f"{where}{more}", kind=first.kind or "failed")

    def _page(self, ending: Ending) -> None:
        self._pages += 1
        if ending.state is not NodeState.COMPLETED:
            self._failures += 1
            self._failed.insert(0, ending)
            return
        items, following = ending.values.get("items"), ending.values.get("next")
        try:
            if not isinstance(items, list):
                raise ValueError(f"pages.items gave {kind_of(items)}, not a list")
            self._take(items)
            if following is not None and following == self._cursor:
                raise ValueError("pages.next gave the same cursor twice: it would go on for ever")
        except ValueError as error:
            self._failures += 1
            self._failed.insert(
                0, msgspec.structs.replace(ending, state=NodeState.FAILED, kind="invalid", message=str(error))
            )
        self._cursor = following
        self._more = following is not None and self._pages < self._params.max_iterations

    def _take(self, items: list[Json]) -> None:
        count = len(self._items) + len(items)
        if count > self._params.max_iterations:
            limit = self._params.max_iterations
            raise ValueError(f"{count} items are more than max_iterations, {limit}: raise it, or filter the list")
        self._items = [*self._items, *items] if self._items else items
        self._results.extend([None] * len(items))


async def run(ctx: Context, params: ForeachParams) -> Outcome:
    return Fail("a foreach is opened, not run", kind="bug")


def _names(fields: Mapping[str, Json]) -> tuple[str, ...]:
    name = fields.get("as", "item")
    return (name if isinstance(name, str) else "item", "index")


FOREACH = NodeType(
    name="foreach",
    description=(
        "Runs its nodes once for each item of a list, up to `concurrency` at a time. The output is the list of the "
        "iterations' outputs, in the order of the items. Each iteration that ended is checkpointed: after a crash it "
        "goes on at the first that had not."
    ),
    params=ForeachParams,
    run=run,
    effect=Effect.AT_LEAST_ONCE,
    bodies={
        "nodes": Body(names=_names, after={"output": ("output",)}),
        "pages": Body(
            at=("pages", "nodes"),
            names=lambda _: ("cursor", "page"),
            asks={"items": ("pages", "items"), "next": ("pages", "next")},
        ),
    },
    construct=Foreach,
    example="""\
name: double-all
nodes:
  scan:
    type: foreach
    items: "[1, 2, 3]"
    as: number
    concurrency: 2
    nodes:
      twice: {type: transform, data: "{{ number * 2 }}"}
    output: "{{ nodes.twice }}"
outputs: "{{ nodes.scan }}"
""",
)

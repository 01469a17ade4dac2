"""JSONPath: `.name ['name'] [n] [*] ..name [?(…)]`, over lists of values, bounded like everything else.

Our own; jsonpath-ng is the oracle of the tests. jsonpath-ng cannot be bounded from outside (its `=~` is Python's
backtracking `re`: 1.4 s for 25 characters; `$..a..a..a..a` over five kilobytes takes 0.2 s), it drops `"7.5" > 3`
silently where we raise, and its import takes 32 ms. A condition is an expression of ours in which `@` is the item.
"""

from collections.abc import Callable
from typing import TypeAlias

from engine.expressions.context import Code, Context
from engine.expressions.errors import Refusal
from engine.expressions.paths import global_path, step
from engine.expressions.scope import UNDEFINED, Frame
from engine.expressions.tree import Children, Descendants, Key, Matching, Path, Query, Step, size_of
from engine.values import MAX_DEPTH, Json

Stage: TypeAlias = Callable[[Frame, list[Json]], list[Json]]


def emit_query(context: Context, node: Query, lenient: bool) -> Code:
    """What a JSONPath selects, always a list. A node that is not there is an error; below it, missing is nothing."""
    base, keys = node.base, list[Key]()
    of_node = isinstance(base, Path) and base.root == "nodes"
    if isinstance(base, Path) and of_node:
        name, *keys = [one for one in base.segments if isinstance(one, Key)]
        path = (name.key, *(one.key for one in keys))
        context.refer("nodes", path, node.offset, guarded=lenient)
        start = global_path(context, base.offset, "nodes", (name.key,), (name.offset,), lenient)
    else:
        start = context.compile(base, lenient=True).run
    stages = tuple(_stage(context, one) for one in (*keys, *node.steps))
    refuse = context.refuse(node.offset)

    def run(frame: Frame) -> Json:
        found = start(frame)
        if found is UNDEFINED:
            return found if of_node else []
        selected = [found]
        try:
            for stage in stages:
                selected = stage(frame, selected)
                frame.room_for_items(len(selected))
        except Refusal as refusal:
            raise refuse(refusal) from None
        return selected

    context.multiplies = True
    return Code(run)


def _stage(context: Context, one: Step) -> Stage:
    if isinstance(one, Key):
        key = one.key
        return lambda _frame, values: [
            found
            for value in values
            if (found := step(value, key) if type(value) is not str else UNDEFINED) is not UNDEFINED
        ]
    if isinstance(one, Children):
        return lambda frame, values: [child for value in values for child in _children(frame, value)]
    if isinstance(one, Descendants):
        return _descendants(one.name)
    return _matching(context, one)


def _children(frame: Frame, value: Json) -> list[Json]:
    if type(value) is list:
        frame.spend(len(value))
        return value
    if type(value) is dict:
        frame.spend(len(value))
        return list(value.values())
    return []


def _descendants(name: str | None) -> Stage:
    """`..name`: the value of that key in each object, from the outside in; `..*`: every value there is."""

    def stage(frame: Frame, values: list[Json]) -> list[Json]:
        found: list[Json] = []

        def visit(value: Json, depth: int) -> None:
            if depth > MAX_DEPTH:
                raise Refusal(f"nested deeper than {MAX_DEPTH} levels")
            if name is not None and type(value) is dict and name in value:
                found.append(value[name])
            for child in _children(frame, value):
                if name is None:
                    found.append(child)
                visit(child, depth + 1)

        for value in values:
            visit(value, 0)
        return found

    return stage


def _matching(context: Context, one: Matching) -> Stage:
    before = context.lenient_items
    context.lenient_items = True
    with context.binding("@") as (slot,):
        condition = context.condition(one.condition)
    context.lenient_items = before
    asked, cost = condition.run, 2 + size_of(one.condition)

    def stage(frame: Frame, values: list[Json]) -> list[Json]:
        found = []
        for value in values:
            children = _children(frame, value)
            frame.spend(cost * len(children))
            for child in children:
                frame.locals[slot] = child
                if asked(frame):
                    found.append(child)
        return found

    return stage

"""What an expression can see, and the state of one evaluation over it."""

from collections.abc import Mapping
from typing import Final

from engine.expressions.errors import Refusal
from engine.expressions.limits import MAX_CHARS, MAX_ITEMS, MAX_STEPS
from engine.values import Json


class Scope:
    """The values behind the root names, and the two inputs that make evaluation repeatable.

    values  root name (`trigger`, `params`, `nodes`, `item` …) -> value; read, never changed
    now     what `now()` gives: microseconds since 1970, recorded by the execution
    seed    what `random()` and `uuid()` are derived from: one string per (execution, path)
    hints   dotted name (`nodes.alert`) -> why it is undefined (`it was skipped`), shown in errors
    """

    __slots__ = ("values", "now", "seed", "hints")

    def __init__(
        self, values: Mapping[str, Json], *, now: int, seed: str, hints: Mapping[str, str] | None = None
    ) -> None:
        self.values = values
        self.now = now
        self.seed = seed
        self.hints = hints


class Frame:
    """One evaluation under way: the scope, the loop variables, and what it has spent."""

    __slots__ = ("values", "scope", "locals", "steps", "calls")

    def __init__(self, scope: Scope, slots: int) -> None:
        self.values = scope.values
        self.scope = scope
        self.locals: list[Json] = [None] * slots
        self.steps = MAX_STEPS
        self.calls = 0

    def spend(self, steps: int) -> None:
        """Pay for work that is about to be done. Raises Refusal when the evaluation has no more to spend."""
        self.steps -= steps
        if self.steps < 0:
            raise Refusal(f"more than {MAX_STEPS} steps of work", "filter or slice the list before you loop over it")

    def made(self, text: str) -> str:
        """Pay for a string that was just made."""
        self.steps -= len(text) >> 6
        if self.steps < 0:
            self.spend(0)
        if len(text) > MAX_CHARS:
            raise too_long(len(text))
        return text

    def room_for(self, characters: int) -> None:
        """Refuse a string before it is made, when its length is known."""
        if characters > MAX_CHARS:
            raise too_long(characters)
        self.spend(characters >> 6)

    def room_for_items(self, items: int) -> None:
        """Refuse a list before it is made, when its length is known."""
        if items > MAX_ITEMS:
            raise Refusal(f"a list of {items} items is more than the limit of {MAX_ITEMS}")
        self.spend(items)


class _Undefined:
    """What a path gives when it is not there and somebody asked (`|default`, `is defined`)."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "undefined"


UNDEFINED: Final = _Undefined()


def too_long(characters: int) -> Refusal:
    """A string over the limit."""
    return Refusal(f"a string of {characters} characters is more than the limit of {MAX_CHARS}")

"""The filters that apply another filter or test to each item; data only, so what they apply is named by text."""

from dataclasses import dataclass
from typing import Final

from engine.expressions.library import Filter, Items
from engine.expressions.scope import Frame
from engine.values import Json


@dataclass(frozen=True, slots=True)
class Higher:
    """applies: what its name argument names; attribute: whether an attribute's name comes first; keeps: which answer
    keeps the item."""

    applies: str
    attribute: bool = False
    keeps: bool = True


HIGHER: Final = {
    "map": Higher("filter"),
    "select": Higher("test"),
    "reject": Higher("test", keeps=False),
    "selectattr": Higher("test", attribute=True),
    "rejectattr": Higher("test", attribute=True, keeps=False),
}


def _documented(_frame: Frame, items: Items) -> Json:
    """Stands for the parameters that are checked at the call; the compiler applies these filters itself."""
    return items


_ROWS = "[{'n': 1, 'ok': true}, {'n': 2, 'ok': false}]"
HIGHER_FILTERS = [
    Filter(
        "map",
        _documented,
        "One attribute of each item, or each item through another filter.",
        f"{_ROWS}|map(attribute='n')",
        [1, 2],
        usage="list|map(filter: string, …) or list|map(attribute: string, default: any)",
    ),
    Filter(
        "select",
        _documented,
        "The items for which a test holds, or that are true.",
        "[1, 2, 3, 4]|select('even')",
        [2, 4],
        usage="list|select(test: string, …)",
    ),
    Filter(
        "reject",
        _documented,
        "The items for which a test does not hold, or that are false.",
        "[0, 1, null, 'a']|reject",
        [0, None],
        usage="list|reject(test: string, …)",
    ),
    Filter(
        "selectattr",
        _documented,
        "The items of which an attribute is true, or passes a test.",
        f"{_ROWS}|selectattr('n', 'gt', 1)|map(attribute='n')",
        [2],
        usage="list|selectattr(attribute: string, test: string, …)",
    ),
    Filter(
        "rejectattr",
        _documented,
        "The items of which an attribute is false, or fails a test.",
        f"{_ROWS}|rejectattr('ok')|map(attribute='n')",
        [2],
        usage="list|rejectattr(attribute: string, test: string, …)",
    ),
]

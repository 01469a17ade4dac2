"""Everything that has a name in the language: the one list behind lookups and the generated reference."""

from typing import Final

from engine.expressions.builtin.encoding import ENCODING_FILTERS
from engine.expressions.builtin.functions import ALL_FUNCTIONS
from engine.expressions.builtin.higher import HIGHER_FILTERS
from engine.expressions.builtin.lists import LIST_FILTERS
from engine.expressions.builtin.numbers import NUMBER_FILTERS
from engine.expressions.builtin.objects import OBJECT_FILTERS
from engine.expressions.builtin.predicates import PREDICATES
from engine.expressions.builtin.regexes import REGEX_FILTERS
from engine.expressions.builtin.text import TEXT_FILTERS
from engine.expressions.builtin.times import TIME_FILTERS
from engine.expressions.library import Filter, Function, Test, index
from engine.expressions.scope import Frame
from engine.values import Json


def _default(_frame: Frame, value: Json, default: Json = "", boolean: bool = False) -> Json:
    """Stands for its parameters; the compiler applies it itself, for it decides how its left side is compiled."""
    return default if boolean and not value else value


_DEFAULTS = [
    Filter(
        "default",
        _default,
        "Another value where a path is not there; with true as second argument also where it is false or empty.",
        "nodes.a.x|default(7)",
        7,
        aliases=("d",),
        pathlike=True,
    )
]

FUNCTIONS: Final[dict[str, Function]] = index(ALL_FUNCTIONS)
FILTERS: Final[dict[str, Filter]] = index(
    [
        *_DEFAULTS,
        *TEXT_FILTERS,
        *NUMBER_FILTERS,
        *LIST_FILTERS,
        *HIGHER_FILTERS,
        *OBJECT_FILTERS,
        *ENCODING_FILTERS,
        *REGEX_FILTERS,
        *TIME_FILTERS,
    ]
)
TESTS: Final[dict[str, Test]] = index(PREDICATES)

ABSENT: Final = {
    "format": "join with ~, or write |format_number(2)",
    "safe": "nothing is escaped here, so leave it out",
    "escape": "nothing is HTML here, so leave it out",
    "e": "nothing is HTML here, so leave it out",
    "striptags": "write |regex_replace('<[^>]*>', '')",
    "random": "random() gives a number",
    "pprint": "write |tojson(2)",
    "filesizeformat": "write |format_number",
    "strip": "write |trim",
    "len": "write |length",
    "pluck": "write |map(attribute='…')",
    "str": "write |string",
    "number": "write |float or |int",
    "to_json": "write |tojson",
    "from_json": "write |fromjson",
    "strftime": "write |format_time",
}
"""Filters that people try and that are not here -> what to write instead."""

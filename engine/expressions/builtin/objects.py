"""Filters of objects."""

from engine.expressions.builtin.lists import sort
from engine.expressions.errors import Refusal
from engine.expressions.library import Filter, Items, Object
from engine.expressions.paths import attribute_of, walk
from engine.expressions.scope import Frame
from engine.values import MAX_DEPTH, Json


def items(frame: Frame, value: Object) -> Json:
    frame.room_for_items(len(value))
    return [[key, item] for key, item in value.items()]


def keys(frame: Frame, value: Object) -> Json:
    frame.room_for_items(len(value))
    return list(value)


def values(frame: Frame, value: Object) -> Json:
    frame.room_for_items(len(value))
    return list(value.values())


def dictsort(frame: Frame, value: Object, case_sensitive: bool = False, by: str = "key", reverse: bool = False) -> Json:
    if by not in ("key", "value"):
        raise Refusal("dictsort: by is 'key' or 'value'")
    return sort(frame, items(frame, value), reverse, case_sensitive, "0" if by == "key" else "1")


def dict_(frame: Frame, value: Items | Object) -> Json:
    frame.room_for_items(len(value))
    if isinstance(value, dict):
        return dict(value)
    made: dict[str, Json] = {}
    for pair in value:
        if type(pair) is not list or len(pair) != 2 or type(pair[0]) is not str:
            raise Refusal("dict needs a list of [key, value] pairs, each key a string")
        made[pair[0]] = pair[1]
    return made


def merge(frame: Frame, value: Object, other: Object, deep: bool = False) -> Json:
    return _merged(frame, value, other, MAX_DEPTH if deep else 0)


def _merged(frame: Frame, value: Object, other: Object, depth: int) -> Object:
    frame.room_for_items(len(value) + len(other))
    merged = {**value, **other}
    if depth > 0:
        for key, item in other.items():
            if type(item) is dict and type(value.get(key)) is dict:
                merged[key] = _merged(frame, value[key], item, depth - 1)
    return merged


def omit(frame: Frame, value: Object, *names: str) -> Json:
    frame.room_for_items(len(value))
    return {key: item for key, item in value.items() if key not in names}


def pick(frame: Frame, value: Object, *names: str) -> Json:
    frame.spend(len(names))
    return {key: value[key] for key in names if key in value}


def attr(_frame: Frame, value: Items | Object, path: str) -> Json:
    return walk(value, attribute_of(path))


OBJECT_FILTERS = [
    Filter("items", items, "[key, value] pairs, to loop over.", "{'a': 1}|items", [["a", 1]]),
    Filter("keys", keys, "The keys, in their order.", "{'b': 1, 'a': 2}|keys", ["b", "a"]),
    Filter("values", values, "The values, in the order of their keys.", "{'b': 1, 'a': 2}|values", [1, 2]),
    Filter("dictsort", dictsort, "[key, value] pairs in order.", "{'b': 1, 'a': 2}|dictsort", [["a", 2], ["b", 1]]),
    Filter("dict", dict_, "An object from [key, value] pairs.", "[['a', 1]]|dict", {"a": 1}),
    Filter("merge", merge, "Both objects as one; the second wins.", "{'a': 1}|merge({'b': 2})", {"a": 1, "b": 2}),
    Filter("pick", pick, "These keys alone, where they are there.", "{'a': 1, 'b': 2}|pick('a', 'c')", {"a": 1}),
    Filter("omit", omit, "All keys but these.", "{'a': 1, 'b': 2}|omit('a')", {"b": 2}),
    Filter("attr", attr, "A dotted path into a value.", "{'a': [{'b': 7}]}|attr('a.0.b')", 7, pathlike=True),
]

"""Filters of lists: order, choice, groups, totals."""

from engine.expressions.errors import Refusal
from engine.expressions.library import Filter, Items, Number, Object
from engine.expressions.operators import add, brief, check_order, kind, measure
from engine.expressions.paths import attribute_of, walk
from engine.expressions.scope import UNDEFINED, Frame
from engine.values import Json, encode_json


def read(items: Items, attribute: str | None) -> Items:
    """The items, or one attribute of each."""
    if attribute is None:
        return items
    keys = attribute_of(attribute)
    found = [walk(item, keys) for item in items]
    for number, value in enumerate(found):
        if value is UNDEFINED:
            raise Refusal(f"item {number} has no {attribute[:64]}", "select those that have it first")
    return found


def length(_frame: Frame, value: Items | Object | str) -> int:
    return len(value)


def first(_frame: Frame, value: Items | str) -> Json:
    return value[0] if value else UNDEFINED


def last(_frame: Frame, value: Items | str) -> Json:
    return value[-1] if value else UNDEFINED


def sort(
    frame: Frame, value: Items, reverse: bool = False, case_sensitive: bool = False, attribute: str | None = None
) -> Json:
    keys = _order_keys(frame, read(value, attribute), case_sensitive)
    order = sorted(range(len(value)), key=keys.__getitem__, reverse=reverse)
    return [value[index] for index in order]


def reverse(frame: Frame, value: Items | str) -> Json:
    if isinstance(value, str):
        return frame.made(value[::-1])
    frame.spend(len(value))
    return value[::-1]


def unique(frame: Frame, value: Items, case_sensitive: bool = False, attribute: str | None = None) -> Json:
    frame.spend(4 * len(value))
    seen: set[Json] = set()
    kept: list[Json] = []
    for item, key in zip(value, read(value, attribute), strict=True):
        identity = _identity(frame, key, case_sensitive)
        if identity not in seen:
            seen.add(identity)
            kept.append(item)
    return kept


def total(frame: Frame, value: Items, attribute: str | None = None, start: Number = 0) -> Json:
    frame.spend(4 * len(value))
    result: Json = start
    for item in read(value, attribute):
        if type(item) is not int and type(item) is not float:
            raise Refusal(f"sum needs numbers, not {brief(item)}", "convert them: |map('float')")
        result = add(frame, result, item)
    return result


def smallest(frame: Frame, value: Items, case_sensitive: bool = False, attribute: str | None = None) -> Json:
    keys = _order_keys(frame, read(value, attribute), case_sensitive)
    return value[min(range(len(value)), key=keys.__getitem__)] if value else UNDEFINED


def largest(frame: Frame, value: Items, case_sensitive: bool = False, attribute: str | None = None) -> Json:
    keys = _order_keys(frame, read(value, attribute), case_sensitive)
    return value[max(range(len(value)), key=keys.__getitem__)] if value else UNDEFINED


def groupby(frame: Frame, value: Items, attribute: str, case_sensitive: bool = False) -> Json:
    keys = read(value, attribute)
    order = _order_keys(frame, keys, case_sensitive)
    groups: dict[Json, tuple[Json, list[Json]]] = {}
    for item, key, place in zip(value, keys, order, strict=True):
        groups.setdefault(place, (key, []))[1].append(item)
    return [[key, items] for _, (key, items) in sorted(groups.items(), key=lambda group: group[0])]


def batch(frame: Frame, value: Items, linecount: int, fill_with: Json = UNDEFINED) -> Json:
    if linecount < 1:
        raise Refusal("batch needs a size of at least 1")
    frame.room_for_items(len(value))
    rows = [value[start : start + linecount] for start in range(0, len(value), linecount)]
    if rows and fill_with is not UNDEFINED:
        missing = linecount - len(rows[-1])
        frame.room_for_items(missing)
        rows[-1] = rows[-1] + [fill_with] * missing
    return rows


def slice_(frame: Frame, value: Items, slices: int, fill_with: Json = UNDEFINED) -> Json:
    if slices < 1:
        raise Refusal("slice needs at least 1 part")
    frame.room_for_items(len(value) + slices)
    size, extra = divmod(len(value), slices)
    parts, start = [], 0
    for number in range(slices):
        stop = start + size + (number < extra)
        part = value[start:stop]
        if fill_with is not UNDEFINED and extra and number >= extra:
            part = [*part, fill_with]
        parts.append(part)
        start = stop
    return parts


def list_(frame: Frame, value: Items | Object | str) -> Json:
    frame.room_for_items(len(value))
    return list(value)


def flatten(frame: Frame, value: Items) -> Json:
    frame.room_for_items(sum(len(item) if type(item) is list else 1 for item in value))
    flat: list[Json] = []
    for item in value:
        flat.extend(item if type(item) is list else [item])
    return flat


def compact(frame: Frame, value: Items) -> Json:
    frame.spend(len(value))
    return [item for item in value if item is not None]


def _order_keys(frame: Frame, keys: Items, case_sensitive: bool) -> Items:
    """Keys that can be ordered: all numbers or all strings, the latter without regard to case unless asked."""
    frame.spend(4 * len(keys))
    for key in keys:
        check_order(keys[0], key)
    if keys and type(keys[0]) is str and not case_sensitive:
        frame.spend(sum(map(len, keys)) >> 6)
        return [key.lower() for key in keys]
    return keys


def _identity(frame: Frame, value: Json, case_sensitive: bool) -> Json:
    """Something hashable that equal values share; 1 and 1.0 are equal, 1 and true are not."""
    name = kind(value)
    if name == "string":
        return name, value if case_sensitive else value.lower()
    if name in ("number", "boolean", "null"):
        return name, value
    if name == "secret":
        raise Refusal("a secret cannot be compared")
    frame.spend(measure(value) >> 4)
    return name, _sorted_json(value)


def _sorted_json(value: Json) -> bytes:
    def plain(part: Json) -> Json:
        if type(part) is dict:
            return {key: plain(part[key]) for key in sorted(part)}
        if type(part) is list:
            return [plain(item) for item in part]
        return float(part) if type(part) is int and abs(part) < 2**53 else part

    return encode_json(plain(value))


_ROWS = "[{'k': 'b', 'n': 1}, {'k': 'a', 'n': 2}, {'k': 'b', 'n': 3}]"
LIST_FILTERS = [
    Filter("length", length, "How many items, keys or characters.", "[1, 2]|length", 2, aliases=("count",)),
    Filter("first", first, "The first item or character.", "[1, 2]|first", 1, pathlike=True),
    Filter("last", last, "The last item or character.", "[1, 2]|last", 2, pathlike=True),
    Filter("sort", sort, "Items in order, by an attribute if named.", "[3, 1, 2]|sort(reverse=true)", [3, 2, 1]),
    Filter("reverse", reverse, "From the last to the first.", "[1, 2]|reverse", [2, 1]),
    Filter("unique", unique, "Each value once, in order of appearance.", "['a', 'A', 'b']|unique", ["a", "b"]),
    Filter("sum", total, "The total of numbers, or of an attribute.", f"{_ROWS}|sum('n')", 6),
    Filter("min", smallest, "The smallest item.", "[2, 1, 3]|min", 1, pathlike=True),
    Filter("max", largest, "The largest item.", f"({_ROWS}|max(attribute='n')).n", 3, pathlike=True),
    Filter(
        "groupby",
        groupby,
        "[value, items] for each value of an attribute, in order of the values.",
        f"{_ROWS}|groupby('k')",
        [["a", [{"k": "a", "n": 2}]], ["b", [{"k": "b", "n": 1}, {"k": "b", "n": 3}]]],
    ),
    Filter("batch", batch, "Lists of so many items.", "[1, 2, 3]|batch(2, 0)", [[1, 2], [3, 0]]),
    Filter("slice", slice_, "So many lists of about one size.", "[1, 2, 3]|slice(2)", [[1, 2], [3]]),
    Filter("list", list_, "Characters of a string, keys of an object, items of a list.", "'ab'|list", ["a", "b"]),
    Filter("flatten", flatten, "Lists inside a list as one list, one level deep.", "[[1], [2, 3]]|flatten", [1, 2, 3]),
    Filter("compact", compact, "Without what is null.", "[1, null, 2]|compact", [1, 2]),
]

"""Functions: what is called by name."""

import hashlib

from engine.clock import format_time
from engine.expressions.builtin import lists, numbers
from engine.expressions.errors import Refusal
from engine.expressions.library import Function, Items, Number, Object, Scalar
from engine.expressions.scope import UNDEFINED, Frame
from engine.values import Json


def now(frame: Frame) -> str:
    return format_time(frame.scope.now)


def _digest(frame: Frame) -> bytes:
    """32 bytes from the seed and the number of the call: the same when the expression is evaluated again."""
    frame.calls += 1
    frame.spend(8)
    return hashlib.sha256(f"{frame.scope.seed}\0{frame.calls}".encode(errors="surrogatepass")).digest()


def random(frame: Frame) -> float:
    return (int.from_bytes(_digest(frame)[:8], "big") >> 11) / 2**53


def uuid(frame: Frame) -> str:
    bits = bytearray(_digest(frame)[:16])
    bits[6] = bits[6] & 0x0F | 0x40
    bits[8] = bits[8] & 0x3F | 0x80
    text = bits.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def range_(frame: Frame, start: int, stop: int | None = None, step: int = 1) -> Json:
    if step == 0:
        raise Refusal("range: step is not 0")
    span = range(start) if stop is None else range(start, stop, step)
    # len() of a range refuses more than 63 bits.
    count = max(0, (span.stop - span.start + span.step - (1 if span.step > 0 else -1)) // span.step)
    frame.room_for_items(count)
    return list(span)


def min_(frame: Frame, *values: Json) -> Json:
    return _extreme(frame, "min", list(values))


def max_(frame: Frame, *values: Json) -> Json:
    return _extreme(frame, "max", list(values))


def _extreme(frame: Frame, name: str, values: Items) -> Json:
    items = values[0] if len(values) == 1 else values
    if type(items) is not list:
        raise Refusal(f"{name} needs a list, or several values")
    result = (lists.smallest if name == "min" else lists.largest)(frame, items, case_sensitive=True)
    if result is UNDEFINED:
        raise Refusal(f"{name} of nothing is undefined", f"x|{name}|default(…) says what to take instead")
    return result


def jsonpath(frame: Frame, expr: str, value: Json) -> Json:
    from engine.expressions.jsonpath import select  # it compiles, and the compiler knows this function

    return select(frame, expr, value)


def len_(_frame: Frame, value: Items | Object | str) -> int:
    return len(value)


def int_(frame: Frame, value: Scalar) -> Json:
    return numbers.int_(frame, value)


def float_(frame: Frame, value: Scalar) -> Json:
    return numbers.float_(frame, value)


def abs_(frame: Frame, value: Number) -> Number:
    return numbers.absolute(frame, value)


def round_(frame: Frame, value: Number, precision: int = 0) -> Number:
    return numbers.round_(frame, value, precision)


def sum_(frame: Frame, values: Items) -> Json:
    return lists.total(frame, values)


ALL_FUNCTIONS = [
    Function("now", now, "The recorded time of the execution.", "now()", "1970-01-01T00:00:00.000000Z", pure=False),
    Function(
        "random",
        random,
        "A number from 0 up to 1, the same when evaluated again.",
        "random()",
        0.1741858052551124,
        pure=False,
    ),
    Function(
        "uuid",
        uuid,
        "A UUID, the same when evaluated again.",
        "uuid()",
        "2c9770e0-ff85-4016-b919-fb1ccce44ce5",
        pure=False,
    ),
    Function("range", range_, "Whole numbers from start up to, not including, stop.", "range(1, 4)", [1, 2, 3]),
    Function("min", min_, "The smallest of several values, or of a list.", "min(3, 1, 2)", 1),
    Function("max", max_, "The largest of several values, or of a list.", "max([3, 1, 2])", 3),
    Function("sum", sum_, "The total of a list.", "sum([1, 2.5])", 3.5),
    Function("len", len_, "How many items, keys or characters.", "len('abc')", 3),
    Function("abs", abs_, "A number without its sign.", "abs(-3)", 3),
    Function("round", round_, "A number to so many decimals.", "round(7.46, 1)", 7.5),
    Function("int", int_, "A whole number; from text too.", "int('42')", 42),
    Function("float", float_, "A number with decimals; from text too.", "float('7.5')", 7.5),
    Function(
        "jsonpath",
        jsonpath,
        "What a JSONPath selects of a value: a value where it is definite, else a list.",
        "jsonpath('$.rows[?(@.n > 1)].n', {'rows': [{'n': 1}, {'n': 2}]})",
        [2],
    ),
]

"""What the operators do with values. Exact types only: nothing here asks a value for anything but what JSON has.

Two rules make false alarms impossible: values of different kinds are neither ordered nor equal but an error that says
how to convert (null equals null alone, and may always be asked), and integers never lose a digit.
"""

from collections.abc import Callable
from typing import Final

from engine.expressions.errors import Refusal
from engine.expressions.limits import MAX_CHARS, MAX_RESULT
from engine.expressions.scope import Frame, too_long
from engine.secrets import SecretText
from engine.values import INT_MAX, INT_MIN, MAX_DEPTH, Json, encode_json

Binary = Callable[[Frame, Json, Json], Json]

_SCALARS: Final = frozenset({str, int, float, bool, type(None)})
_KINDS: Final[dict[type, str]] = {
    type(None): "null", bool: "boolean", int: "number", float: "number", str: "string", list: "list", dict: "object",
    SecretText: "secret",
}  # fmt: skip


def kind(value: Json) -> str:
    """The name of a value's kind; what is no data at all is refused."""
    try:
        return _KINDS[type(value)]
    except KeyError:
        raise Refusal(f"a {type(value).__name__} is not JSON data") from None


def brief(value: Json) -> str:
    """A value in a message: its kind, and itself if it is short."""
    name = kind(value)
    if name == "string" and len(value) <= 40:
        return f"the string {encode_json(value).decode()}"
    if name in ("number", "boolean"):
        return f"the {name} {encode_json(value).decode()}"
    return "null" if name == "null" else f"{'an' if name == 'object' else 'a'} {name}"


# --- truth, equality, order ---


def truth(value: Json) -> bool:
    """As in Jinja: false, null, 0, "", [] and {} are false."""
    name = kind(value)
    if name == "secret":
        raise Refusal("a secret cannot be a condition")
    return bool(value)


def same(frame: Frame, a: Json, b: Json, depth: int = MAX_DEPTH) -> bool:
    """Deep equality without opinions: different kinds are different."""
    first, second = kind(a), kind(b)
    if first != second:
        return False
    if first not in ("list", "object"):
        if first == "secret":
            raise Refusal("a secret cannot be compared")
        return bool(a == b)
    if len(a) != len(b):
        return False
    frame.spend(len(a))
    if depth <= 0:
        raise Refusal(f"nested deeper than {MAX_DEPTH} levels")
    if first == "list":
        return all(same(frame, one, other, depth - 1) for one, other in zip(a, b, strict=True))
    return all(key in b and same(frame, item, b[key], depth - 1) for key, item in a.items())


def equal(frame: Frame, a: Json, b: Json) -> bool:
    """`==`: an error between different kinds, unless one of them is null."""
    if type(a) is type(b) and type(a) in _SCALARS:
        return bool(a == b)
    first, second = kind(a), kind(b)
    if first != second and "null" not in (first, second):
        raise _different("compare", a, b)
    return same(frame, a, b)


def unequal(frame: Frame, a: Json, b: Json) -> bool:
    return not equal(frame, a, b)


def check_order(a: Json, b: Json) -> None:
    """Refuse what `<` has no answer for."""
    first, second = kind(a), kind(b)
    if first != second:
        raise _different("order", a, b)
    if first not in ("number", "string"):
        raise Refusal(f"a {first} has no order" if first != "null" else "null has no order", "use |default(0, true)")


def less(_frame: Frame, a: Json, b: Json) -> bool:
    check_order(a, b)
    return bool(a < b)


def less_or_equal(_frame: Frame, a: Json, b: Json) -> bool:
    check_order(a, b)
    return bool(a <= b)


def greater(_frame: Frame, a: Json, b: Json) -> bool:
    check_order(a, b)
    return bool(a > b)


def greater_or_equal(_frame: Frame, a: Json, b: Json) -> bool:
    check_order(a, b)
    return bool(a >= b)


def contains(frame: Frame, item: Json, container: Json) -> bool:
    """`item in container`: an item of a list, a key of an object, a part of a string."""
    name = kind(container)
    if name == "list":
        frame.spend(len(container))
        return any(same(frame, item, other) for other in container)
    if name not in ("string", "object"):
        raise Refusal(f"in looks into a list, an object or a string, not into {brief(container)}")
    if type(item) is not str:
        raise Refusal(f"{brief(item)} is never in {brief(container)}", _conversion(kind(item), "string"))
    if name == "string":
        frame.spend(len(container) >> 6)
    return item in container


def lacks(frame: Frame, item: Json, container: Json) -> bool:
    return not contains(frame, item, container)


# --- arithmetic ---


def add(frame: Frame, a: Json, b: Json) -> Json:
    """Numbers are added; two strings and two lists are joined, as in Jinja."""
    if type(a) is str and type(b) is str:
        frame.room_for(len(a) + len(b))
        return a + b
    if type(a) is list and type(b) is list:
        frame.room_for_items(len(a) + len(b))
        return a + b
    if "string" in (kind(a), kind(b)):
        raise Refusal(
            f"+ has no meaning between {brief(a)} and {brief(b)}", 'join texts with ~, or convert: "7.5"|float'
        )
    _check_numbers("+", a, b)
    return number(a + b)


def subtract(_frame: Frame, a: Json, b: Json) -> Json:
    _check_numbers("-", a, b)
    return number(a - b)


def multiply(frame: Frame, a: Json, b: Json) -> Json:
    """Numbers are multiplied; a string times an integer repeats it."""
    if type(a) is int and type(b) is str:
        a, b = b, a
    if type(a) is str and type(b) is int:
        if b > 0 and len(a) * b > MAX_CHARS:
            raise too_long(len(a) * b)
        return frame.made(a * b)
    _check_numbers("*", a, b)
    return number(a * b)


def divide(_frame: Frame, a: Json, b: Json) -> Json:
    _check_numbers("/", a, b)
    _check_divisor(b)
    return number(a / b)


def divide_whole(_frame: Frame, a: Json, b: Json) -> Json:
    _check_numbers("//", a, b)
    _check_divisor(b)
    return number(a // b)


def modulo(_frame: Frame, a: Json, b: Json) -> Json:
    if type(a) is str:
        raise Refusal("% does not format strings", "join with ~, or write |format_number(2)")
    _check_numbers("%", a, b)
    _check_divisor(b)
    return number(a % b)


def power(_frame: Frame, a: Json, b: Json) -> Json:
    _check_numbers("**", a, b)
    if type(a) is int and type(b) is int and b > 63 and not -1 <= a <= 1:
        raise _overflow()
    if a == 0 and b < 0:
        raise Refusal("0 has no negative power")
    if a < 0 and type(b) is float and not b.is_integer():
        raise Refusal("a negative number has no fractional power")
    try:
        return number(a**b)
    except OverflowError:
        raise Refusal("the result is more than a number can hold") from None


def negate(_frame: Frame, value: Json) -> Json:
    _check_number("-", value)
    return number(-value)


def affirm(_frame: Frame, value: Json) -> Json:
    _check_number("+", value)
    return value


def number(value: int | float) -> int | float:
    """A result within what JSON and 64 bits can hold."""
    if type(value) is int:
        if not INT_MIN <= value <= INT_MAX:
            raise _overflow()
    elif value - value != 0.0:
        raise Refusal("the result is more than a number can hold")
    return value


BINARY: Final[dict[str, Binary]] = {
    "+": add, "-": subtract, "*": multiply, "/": divide, "//": divide_whole, "%": modulo, "**": power,
    "==": equal, "!=": unequal, "<": less, "<=": less_or_equal, ">": greater, ">=": greater_or_equal,
    "in": contains, "not in": lacks,
}  # fmt: skip


# --- texts ---


def text_of(frame: Frame, value: Json) -> str:
    """A value as it stands in a text: a string as itself, anything else as compact JSON."""
    if type(value) is str or type(value) is SecretText:
        return value
    if type(value) is int:
        return str(value)
    if type(value) is not float:
        frame.spend(measure(value) >> 3)
    return encode_json(value).decode()


def join(frame: Frame, parts: list[str]) -> str:
    """Parts as one string, secret if one of them is."""
    frame.room_for(sum(map(len, parts)))
    return SecretText(*parts) if SecretText in map(type, parts) else "".join(parts)


def measure(value: Json, limit: int = MAX_RESULT, depth: int = MAX_DEPTH, *, secrets: bool = False) -> int:
    """About how many characters of JSON a value is. Raises Refusal over the limit, which shared parts reach quickly:
    [x, x, x] holds x three times. With `secrets`, their markers may be parts; without, the value is to be printed."""
    size = 8
    if type(value) is str:
        size += len(value)
    elif type(value) is list or type(value) is dict:
        if depth <= 0:
            raise Refusal(f"nested deeper than {MAX_DEPTH} levels")
        if type(value) is dict:
            for key in value:
                if type(key) is not str:
                    raise Refusal(f"a key is a string, not {brief(key)}")
                size += len(key) + 4
        for item in value.values() if type(value) is dict else value:
            item_type = type(item)
            if item_type is int or item_type is bool or item is None:
                size += 8
            else:
                size += measure(item, limit - size, depth - 1, secrets=secrets)
            if size > limit:
                break
    elif type(value) is SecretText:
        if not secrets:
            raise Refusal("a secret cannot stand inside a value that is printed")
        size += len(value)
    else:
        kind(value)
    if size > limit:
        raise Refusal(f"the result is more than {MAX_RESULT} characters of JSON", "select what you need of it")
    return size


# --- refusals ---


def _check_number(operator: str, value: Json) -> None:
    if type(value) is not int and type(value) is not float:
        raise Refusal(f"{operator} needs a number, not {brief(value)}", _conversion(kind(value), "number"))


def _check_numbers(operator: str, a: Json, b: Json) -> None:
    _check_number(operator, a)
    _check_number(operator, b)


def _check_divisor(value: int | float) -> None:
    if value == 0:
        raise Refusal("division by zero")


def _overflow() -> Refusal:
    return Refusal("the result does not fit into 64 bits", "make it a float: x|float")


def _different(verb: str, a: Json, b: Json) -> Refusal:
    target = "number" if "number" in (kind(a), kind(b)) else "string"
    other = kind(b) if kind(a) == target else kind(a)
    return Refusal(f"cannot {verb} {brief(a)} with {brief(b)}", _conversion(other, target))


def _conversion(source: str, target: str) -> str:
    if source == "null":
        return "null is a value of its own: |default(x, true) replaces it"
    if target == "number" and source == "string":
        return 'convert the string: "7.5"|float, "7"|int'
    if target == "number" and source == "boolean":
        return "convert the boolean: |int"
    if target == "string" and source in ("number", "boolean"):
        return f"convert the {source}: |string"
    return ""

"""Tests: what `is` asks."""

from engine.expressions import operators
from engine.expressions.library import Items, Number, Object, Test
from engine.expressions.scope import Frame
from engine.values import Json


def defined(_frame: Frame, value: Json) -> bool:
    """Stands for its documentation; the compiler asks itself."""
    return value is not value or True


def none(_frame: Frame, value: Json) -> bool:
    return value is None


def number(_frame: Frame, value: Json) -> bool:
    return type(value) in (int, float)


def integer(_frame: Frame, value: Json) -> bool:
    return type(value) is int


def float_(_frame: Frame, value: Json) -> bool:
    return type(value) is float


def string(_frame: Frame, value: Json) -> bool:
    return type(value) is str


def boolean(_frame: Frame, value: Json) -> bool:
    return type(value) is bool


def list_(_frame: Frame, value: Json) -> bool:
    return type(value) is list


def object_(_frame: Frame, value: Json) -> bool:
    return type(value) is dict


def iterable(_frame: Frame, value: Json) -> bool:
    return type(value) in (list, dict, str)


def true(_frame: Frame, value: Json) -> bool:
    return value is True


def false(_frame: Frame, value: Json) -> bool:
    return value is False


def empty(_frame: Frame, value: Items | Object | str) -> bool:
    return not value


def even(_frame: Frame, value: int) -> bool:
    return value % 2 == 0


def odd(_frame: Frame, value: int) -> bool:
    return value % 2 == 1


def divisibleby(frame: Frame, value: int, divisor: int) -> bool:
    return bool(operators.modulo(frame, value, divisor) == 0)


def lower(_frame: Frame, value: str) -> bool:
    return value.islower()


def upper(_frame: Frame, value: str) -> bool:
    return value.isupper()


def startingwith(_frame: Frame, value: str, prefix: str) -> bool:
    return value.startswith(prefix)


def endingwith(_frame: Frame, value: str, suffix: str) -> bool:
    return value.endswith(suffix)


def in_(frame: Frame, value: Json, container: Json) -> bool:
    return operators.contains(frame, value, container)


def equalto(frame: Frame, value: Json, other: Json) -> bool:
    return operators.equal(frame, value, other)


def unequalto(frame: Frame, value: Json, other: Json) -> bool:
    return operators.unequal(frame, value, other)


def lessthan(frame: Frame, value: Number | str, other: Number | str) -> bool:
    return operators.less(frame, value, other)


def atmost(frame: Frame, value: Number | str, other: Number | str) -> bool:
    return operators.less_or_equal(frame, value, other)


def greaterthan(frame: Frame, value: Number | str, other: Number | str) -> bool:
    return operators.greater(frame, value, other)


def atleast(frame: Frame, value: Number | str, other: Number | str) -> bool:
    return operators.greater_or_equal(frame, value, other)


PREDICATES = [
    Test("defined", defined, "A path is there, be it null.", "nodes.a.x is defined", False),
    Test("undefined", defined, "A path is not there.", "nodes.a.x is undefined", True),
    Test("none", none, "null.", "null is none", True, aliases=("null",)),
    Test("number", number, "A number, whole or not.", "1.5 is number", True),
    Test("integer", integer, "A whole number.", "1 is integer", True),
    Test("float", float_, "A number with decimals.", "1.5 is float", True),
    Test("string", string, "A string.", "'a' is string", True),
    Test("boolean", boolean, "true or false.", "1 is boolean", False),
    Test("list", list_, "A list.", "[1] is list", True, aliases=("sequence",)),
    Test("object", object_, "An object.", "{'a': 1} is object", True, aliases=("mapping",)),
    Test("iterable", iterable, "A list, an object or a string.", "1 is iterable", False),
    Test("true", true, "true itself.", "1 is true", False),
    Test("false", false, "false itself.", "false is false", True),
    Test("empty", empty, "A list, an object or a string with nothing in it.", "[] is empty", True),
    Test("even", even, "An even number.", "2 is even", True),
    Test("odd", odd, "An odd number.", "2 is odd", False),
    Test("divisibleby", divisibleby, "A multiple of a number.", "9 is divisibleby 3", True),
    Test("lower", lower, "A string in lower case.", "'a' is lower", True),
    Test("upper", upper, "A string in upper case.", "'a' is upper", False),
    Test("startingwith", startingwith, "A string that starts with another.", "'ab' is startingwith 'a'", True),
    Test("endingwith", endingwith, "A string that ends with another.", "'ab' is endingwith 'a'", False),
    Test("in", in_, "An item of a list, a key of an object, a part of a string.", "2 is in [1, 2]", True),
    Test("eq", equalto, "Equal, as ==.", "1 is eq 1.0", True, aliases=("equalto", "==", "sameas")),
    Test("ne", unequalto, "Not equal, as !=.", "1 is ne 2", True, aliases=("!=",)),
    Test("lt", lessthan, "Less, as <.", "1 is lt 2", True, aliases=("lessthan", "<")),
    Test("le", atmost, "Less or equal, as <=.", "2 is le 2", True, aliases=("<=",)),
    Test("gt", greaterthan, "Greater, as >.", "1 is gt 2", False, aliases=("greaterthan", ">")),
    Test("ge", atleast, "Greater or equal, as >=.", "2 is ge 2", True, aliases=(">=",)),
]

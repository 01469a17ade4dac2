"""Filters of numbers, and conversions to them."""

import math

from engine.expressions.errors import Refusal
from engine.expressions.library import Filter, Number, Scalar
from engine.expressions.operators import brief, number
from engine.expressions.scope import UNDEFINED, Frame
from engine.values import Json

_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0", "")


def absolute(_frame: Frame, value: Number) -> Number:
    return number(abs(value))


def round_(_frame: Frame, value: Number, precision: int = 0, method: str = "common") -> Number:
    if not -300 <= precision <= 300:
        raise Refusal(f"round: precision is -300 to 300, not {precision}")
    if method == "common":
        try:
            return number(round(value, precision))
        except OverflowError:
            raise Refusal("the result is more than a number can hold") from None
    if method not in ("ceil", "floor"):
        raise Refusal("round: method is 'common', 'ceil' or 'floor'")
    whole = math.ceil if method == "ceil" else math.floor
    if type(value) is int and precision >= 0:
        return value
    try:
        scale = 10.0**precision
        rounded = whole(value * scale) / scale
    except (OverflowError, ZeroDivisionError, ValueError):
        raise Refusal("the result is more than a number can hold") from None
    return number(int(rounded) if type(value) is int else rounded)


def int_(_frame: Frame, value: Scalar, default: Json = UNDEFINED) -> Json:
    try:
        if type(value) is str:
            text = _numeral(value)
            if text.lstrip("+-").isdecimal():
                return number(int(text))
            value = float(text)
            if abs(value) > 2**53:
                raise ValueError  # digits are lost already
        return number(int(value))
    except (ValueError, OverflowError, Refusal):
        if default is not UNDEFINED:
            return default
        raise Refusal(f"{brief(value)} is no integer", "int(default=0) says what to take instead") from None


def float_(_frame: Frame, value: Scalar, default: Json = UNDEFINED) -> Json:
    try:
        return number(float(_numeral(value) if type(value) is str else value))
    except (ValueError, OverflowError, Refusal):
        if default is not UNDEFINED:
            return default
        raise Refusal(f"{brief(value)} is no number", "float(default=0.0) says what to take instead") from None


def _numeral(text: str) -> str:
    """A text that may be a number: short, and without the underscores that Python reads."""
    text = text.strip() if len(text) <= 400 else ""
    if "_" in text:
        raise ValueError
    return text


def bool_(_frame: Frame, value: Scalar | None) -> bool:
    if isinstance(value, str):
        word = value.strip().lower() if len(value) < 64 else value
        if word in _TRUE or word in _FALSE:
            return word in _TRUE
        raise Refusal(f"{brief(value)} is neither true nor false", "true, yes, on, 1 and false, no, off, 0 are")
    return bool(value)


NUMBER_FILTERS = [
    Filter("abs", absolute, "Without its sign.", "-3|abs", 3),
    Filter("round", round_, "To so many decimals; method is common, ceil or floor.", "7.46|round(1)", 7.5),
    Filter("int", int_, "A whole number; from text, and cutting off decimals.", "'42'|int", 42),
    Filter("float", float_, "A number with decimals; from text too.", "'7.5'|float", 7.5),
    Filter("bool", bool_, "true or false, from the words people use.", "'yes'|bool", True),
]

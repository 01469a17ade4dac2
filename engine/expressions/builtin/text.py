"""Filters of strings."""

from engine.expressions.builtin.lists import read
from engine.expressions.errors import Refusal
from engine.expressions.library import Filter, Items, Number, Scalar
from engine.expressions.limits import MAX_ITEMS
from engine.expressions.operators import text_of
from engine.expressions.scope import Frame
from engine.secrets import SecretText
from engine.values import Json, encode_json


def upper(frame: Frame, value: str) -> str:
    return frame.made(value.upper())


def lower(frame: Frame, value: str) -> str:
    return frame.made(value.lower())


def title(frame: Frame, value: str) -> str:
    return frame.made(value.title())


def capitalize(frame: Frame, value: str) -> str:
    return frame.made(value.capitalize())


def trim(frame: Frame, value: str, chars: str | None = None) -> str:
    if chars is not None and len(chars) > 100:
        raise Refusal("trim: chars is at most 100 characters")
    return frame.made(value.strip(chars))


def replace(frame: Frame, value: str, old: str, new: str, count: int = -1) -> str:
    found = value.count(old)
    times = found if count < 0 else min(found, count)
    frame.room_for(len(value) + times * (len(new) - len(old)))
    return value.replace(old, new, count)


def split(frame: Frame, value: str, separator: str | None = None, maxsplit: int = -1) -> Json:
    if separator == "":
        raise Refusal("split needs a separator that is not empty", "x|list gives the characters")
    if maxsplit < 0:
        maxsplit = MAX_ITEMS
    parts = value.split(separator, min(maxsplit, MAX_ITEMS))
    frame.room_for_items(len(parts))
    return parts


def lines(frame: Frame, value: str) -> Json:
    rows = value.splitlines()
    frame.room_for_items(len(rows))
    return rows


def join(frame: Frame, value: Items, separator: str = "", attribute: str | None = None) -> str:
    frame.spend(len(value))
    parts = [text_of(frame, item) for item in read(value, attribute)]
    frame.room_for(sum(map(len, parts)) + len(separator) * len(parts))
    if any(type(part) is SecretText for part in parts):
        raise Refusal("join may not see a secret", "write it beside ~, or in a text of its own")
    return separator.join(parts)


def string(frame: Frame, value: Json) -> str:
    return frame.made(text_of(frame, value))


def truncate(frame: Frame, value: str, length: int = 255, killwords: bool = False, end: str = "…") -> str:
    if len(value) <= length:
        return value
    kept = value[: max(0, length - len(end))]
    if not killwords and " " in kept:
        kept = kept.rsplit(" ", 1)[0]
    return frame.made(kept + end)


def indent(frame: Frame, value: str, width: int | str = 4, first: bool = False, blank: bool = False) -> str:
    if type(width) is int:
        frame.room_for(max(0, width))
    margin = width if isinstance(width, str) else " " * width
    rows = value.split("\n")
    frame.room_for(len(value) + len(margin) * len(rows))
    shown = [margin + row if row or blank else row for row in rows]
    return "\n".join(shown) if first else "\n".join([rows[0], *shown[1:]])


def center(frame: Frame, value: str, width: int = 80) -> str:
    frame.room_for(max(width, len(value)))
    return value.center(width)


def wordcount(frame: Frame, value: str) -> int:
    frame.spend(len(value) >> 3)
    return len(value.split())


def startswith(_frame: Frame, value: str, prefix: str) -> bool:
    return value.startswith(prefix)


def endswith(_frame: Frame, value: str, suffix: str) -> bool:
    return value.endswith(suffix)


def format_number(frame: Frame, value: Number, decimals: int = 0, thousands: str = ",", point: str = ".") -> str:
    if not 0 <= decimals <= 20:
        raise Refusal(f"format_number: decimals is 0 to 20, not {decimals}")
    if len(thousands) > 8 or len(point) > 8:
        raise Refusal("format_number: thousands and point are short")
    whole, _, fraction = f"{value:,.{decimals}f}".partition(".")
    return frame.made(whole.replace(",", thousands) + (point + fraction if fraction else ""))


def quote(frame: Frame, value: Scalar) -> str:
    return frame.made(encode_json(text_of(frame, value)).decode())


TEXT_FILTERS = [
    Filter("upper", upper, "All letters in upper case.", "'warm'|upper", "WARM"),
    Filter("lower", lower, "All letters in lower case.", "'WARM'|lower", "warm"),
    Filter("title", title, "Each word with a capital letter.", "'cold chain'|title", "Cold Chain"),
    Filter("capitalize", capitalize, "The first letter upper case, the rest lower.", "'fRIDGE'|capitalize", "Fridge"),
    Filter("trim", trim, "Without space, or without these characters, at both ends.", "'  a '|trim", "a"),
    Filter("replace", replace, "Each occurrence of a text replaced.", "'a-b-c'|replace('-', '/')", "a/b/c"),
    Filter("split", split, "The parts between separators, or between spaces.", "'a,b'|split(',')", ["a", "b"]),
    Filter("lines", lines, "The lines of a text.", "'a\\nb'|lines", ["a", "b"]),
    Filter("join", join, "Items as one text, with a separator between them.", "[1, 'b']|join(', ')", "1, b"),
    Filter("string", string, "Any value as it stands in a text.", "7.5|string", "7.5"),
    Filter("truncate", truncate, "Cut at a word to a length.", "'a long story'|truncate(8)", "a long…"),
    Filter("indent", indent, "Each line but the first moved to the right.", "'a\\nb'|indent(2)", "a\n  b"),
    Filter("center", center, "In the middle of a width.", "'a'|center(3)", " a "),
    Filter("wordcount", wordcount, "How many words a text has.", "'two words'|wordcount", 2),
    Filter("startswith", startswith, "Whether a text starts with another.", "'abc'|startswith('ab')", True),
    Filter("endswith", endswith, "Whether a text ends with another.", "'abc'|endswith('bc')", True),
    Filter(
        "format_number",
        format_number,
        "A number for people: fixed decimals, thousands marked.",
        "1234567.891|format_number(2)",
        "1,234,567.89",
    ),
    Filter("quote", quote, "A value as a JSON string, in quotes.", "'say \"hi\"'|quote", '"say \\"hi\\""'),
]

"""One scalar of YAML by the core schema of YAML 1.2: `on`, `12:30` and dates are strings."""

import re
from typing import Final

from ruamel.yaml.events import ScalarEvent

from engine.definition.syntax import Refused
from engine.values import INT_MAX, INT_MIN, Json

__all__ = ["TAG", "read_scalar", "read_text", "refused_tag"]

TAG: Final = "tag:yaml.org,2002:"
_WORDS: Final[dict[str, Json]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", re.ASCII)
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", re.ASCII)
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")


def read_scalar(event: ScalarEvent, line: int) -> Json:
    """The value of a scalar by the core schema of YAML 1.2."""
    text = read_text(event.value, line)
    if event.tag == TAG + "str" or event.tag == "!" or (event.tag is None and event.style is not None):
        return text
    value = _plain(text, line)
    if event.tag is None:
        return value
    kind = {type(None): "null", bool: "bool", int: "int", float: "float"}.get(type(value))
    if kind == "int" and event.tag == TAG + "float":
        return float(value)
    if kind is None or event.tag != TAG + kind:
        raise refused_tag(event.tag, line)
    return value


def read_text(text: str, line: int) -> str:
    """Text that UTF-8 can hold: escapes may spell a character as two surrogates, as JSON does."""
    if text.isascii():
        return text
    try:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
    except UnicodeDecodeError:
        raise Refused("half a character (a lone surrogate)", "write the character itself", line) from None


def _plain(text: str, line: int) -> Json:
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789":
        return text
    if _INTEGER.fullmatch(text):
        # int() refuses thousands of digits with an error of its own, after quadratic work.
        number = int(text, 0 if text[:2] in ("0x", "0o") else 10) if len(text) <= 40 else INT_MAX + 1
        if not INT_MIN <= number <= INT_MAX:
            raise Refused(f"the integer {text[:24]} does not fit into 64 bits", "put it into quotes", line)
        return number
    if _NOT_FINITE.fullmatch(text) or (_FLOAT.fullmatch(text) and abs(float(text)) == float("inf")):
        raise Refused(f"{text[:24]} is not a number that JSON can hold", "put it into quotes", line)
    return float(text) if _FLOAT.fullmatch(text) else text


def refused_tag(tag: str, line: int) -> Refused:
    shown = tag.replace(TAG, "!!")[:40]
    return Refused(f"the tag {shown} does not fit here", "only plain data is read: remove the tag", line)

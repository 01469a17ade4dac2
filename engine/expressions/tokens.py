"""A source as tokens; also knows where the expression inside `{{ }}` or `{% %}` ends."""

import re
from typing import NamedTuple

from engine.expressions.errors import ExpressionError
from engine.expressions.limits import MAX_SOURCE, MAX_TOKENS
from engine.values import INT_MAX, Json


class Token(NamedTuple):
    """kind is name, integer, float, string, end, or for an operator the operator itself."""

    kind: str
    value: Json
    offset: int
    end: int


_TOKEN = re.compile(
    r"""(?P<space>\s+)
      | (?P<name>[^\W\d]\w*)
      | (?P<float>[0-9][0-9_]*(?:\.[0-9][0-9_]*(?:[eE][+-]?[0-9]+)?|[eE][+-]?[0-9]+))
      | (?P<integer>[0-9][0-9_]*)
      | (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
      | (?P<operator>\*\*|//|==|!=|<=|>=|&&|\|\||\.\.|[-+*/%~<>=!|.,:()\[\]{}$@?])""",
    re.VERBOSE | re.DOTALL,
)
_CLOSERS = {")": "(", "]": "[", "}": "{"}
_ALIASES = {"&&": "and", "||": "or", "!": "not"}
_WORDS = {"and", "or", "not", "in", "is", "if", "else"}
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))", re.DOTALL)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\", '"': '"', "'": "'", "\n": ""}


def check_source(source: str) -> None:
    """Refuse what is no source at all: too long, or not text that UTF-8 can hold."""
    if type(source) is not str:
        raise ExpressionError(f"an expression is text, not a {type(source).__name__}", "", 0)
    if len(source) > MAX_SOURCE:
        raise ExpressionError(f"{len(source)} characters are more than the limit of {MAX_SOURCE}", source[:200], 0)
    if not source.isascii():
        try:
            source.encode()
        except UnicodeEncodeError as error:
            raise ExpressionError("a lone surrogate is not a character", source, error.start) from None


def tokenize(source: str, start: int = 0, closer: str = "", room: int = MAX_TOKENS) -> list[Token]:
    """Tokens from `start` up to the closer (`}}` or `%}`, also with `-` before it) or the end of the source.

    The last token has the kind end, stands where the closer stands, and ends behind it; its value says whether the
    closer trims the text that follows. `room` is how many tokens there may be.
    """
    tokens: list[Token] = []
    brackets: list[Token] = []
    position, length = start, len(source)
    match = _TOKEN.match
    while position < length:
        if closer and not brackets:
            trims = source[position] == "-"
            if source.startswith(closer, position + trims):
                tokens.append(Token("end", trims, position, position + trims + len(closer)))
                return tokens
        found = match(source, position)
        if found is None:
            raise _unreadable(source, position)
        kind, text, end = str(found.lastgroup), found.group(), found.end()
        if kind != "space":
            token = _token(source, kind, text, position, end)
            if token.kind in "([{":
                brackets.append(token)
            elif token.kind in _CLOSERS:
                if not brackets or brackets[-1].kind != _CLOSERS[token.kind]:
                    raise ExpressionError(f"{token.kind} closes nothing", source, position)
                brackets.pop()
            tokens.append(token)
            if len(tokens) > room:
                raise ExpressionError(f"more than {MAX_TOKENS} tokens", source, position, "split it into several nodes")
        position = end
    if brackets:
        raise ExpressionError(f"{brackets[-1].kind} is never closed", source, brackets[-1].offset)
    if closer:
        opener = "{{" if closer == "}}" else "{%"
        at = source.rfind(opener, 0, start)
        raise ExpressionError(f"{opener} is never closed", source, at, f"write {closer} behind the expression")
    tokens.append(Token("end", False, length, length))
    return tokens


def _token(source: str, kind: str, text: str, offset: int, end: int) -> Token:
    if kind == "name":
        return Token(text if text in _WORDS else "name", text, offset, end)
    if kind == "operator":
        return Token(_ALIASES.get(text, text), text, offset, end)
    if kind == "string":
        return Token("string", _unescape(source, text, offset), offset, end)
    if end < len(source) and (source[end].isalnum() or source[end] == "_"):
        raise ExpressionError(f"{text}{source[end]} is neither a number nor a name", source, offset)
    if kind == "integer":
        if len(text) > 40 or int(text.replace("_", "")) > INT_MAX + 1:
            raise ExpressionError(f"the integer {text[:24]} does not fit into 64 bits", source, offset)
        return Token("integer", int(text.replace("_", "")), offset, end)
    number = float(text.replace("_", ""))
    if number - number != 0.0:
        raise ExpressionError(f"{text[:24]} is more than a number can hold", source, offset)
    return Token("float", number, offset, end)


def _unescape(source: str, text: str, offset: int) -> str:
    """The value of a string literal. An unknown escape keeps its backslash, as in Jinja: '\\d' is a regex's."""
    body = text[1:-1]
    if "\\" not in body:
        return body

    def replace(found: re.Match[str]) -> str:
        code = found[1] or found[2] or found[3]
        if code is None:
            return _ESCAPES.get(found[4], found[0])
        point = int(code, 16)
        if point > 0x10FFFF or 0xD800 <= point <= 0xDFFF:
            raise ExpressionError(f"{found[0]} is not a character", source, offset + 1 + found.start())
        return chr(point)

    return _ESCAPE.sub(replace, body)


def _unreadable(source: str, position: int) -> ExpressionError:
    character = source[position]
    if character in "'\"":
        return ExpressionError("the string is never closed", source, position, f"write {character} behind it")
    hint = {
        "&": "write and, or ~ to join texts",
        "^": "write ** for a power",
        ";": "an expression is one value",
        "`": "write strings in ' or \"",
        "\\": "escapes stand inside strings only",
    }.get(character, "")
    return ExpressionError(f"{character!r} is not part of the language", source, position, hint)

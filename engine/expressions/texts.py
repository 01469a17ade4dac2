"""Texts with `{{ }}`, `{% if %}`, `{% for %}`, `{% raw %}` and `{# #}` as a tree."""

import re
from typing import Final

from engine.expressions.context import RESERVED
from engine.expressions.errors import ExpressionError, did_you_mean
from engine.expressions.limits import MAX_DEPTH, MAX_TOKENS
from engine.expressions.parser import Parser
from engine.expressions.tokens import tokenize
from engine.expressions.tree import For, If, Literal, Node, Text

_OPENER = re.compile(r"\{\{-?|\{%-?|\{#-?")
_TAG = re.compile(r"\s*([^\W\d]\w*)?")
_END_RAW = re.compile(r"\{%-?\s*endraw\s*(-?)%\}")
_TAGS: Final = ("if", "elif", "else", "endif", "for", "endfor", "raw", "endraw")
_ELSEWHERE: Final = {
    "set": "give the value to a node of its own, or repeat it",
    "macro": "there are no macros; a node can be its own text",
    "include": "a text has no files",
    "extends": "a text has no files",
    "block": "a text has no files",
    "filter": "write |filter inside {{ }}",
}


def is_text_with_code(source: str) -> bool:
    """Whether a text has anything in braces at all."""
    return "{" in source and _OPENER.search(source) is not None


def parse_text(source: str) -> Node:
    """The tree of a text; a text that is exactly one `{{ }}` is that expression. Raises ExpressionError."""
    text = _Reader(source).read()
    if len(text.parts) == 1 and not isinstance(text.parts[0], If | For | Literal):
        return text.parts[0]
    # {{ 'a' }} is native too, and then a text anyway; {{ 1 }} is a Literal that is no string.
    if len(text.parts) == 1 and isinstance(text.parts[0], Literal):
        return text.parts[0]
    return text


class _Reader:
    """Reads a text from left to right; blocks call themselves, as deep as they are nested."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.position = 0
        self.trim = False
        self.depth = 0
        self.tokens = MAX_TOKENS
        # The tag that ended the last body, and where it stands.
        self.tag = ""
        self.tag_offset = 0

    def read(self) -> Text:
        text = self.body()
        if self.tag:
            opener = {"endif": "if", "elif": "if", "else": "if", "endfor": "for", "endraw": "raw"}[self.tag]
            raise self.error(f"{{% {self.tag} %}} closes nothing", self.tag_offset, f"there is no {opener} before it")
        return text

    def error(self, message: str, offset: int, hint: str = "") -> ExpressionError:
        return ExpressionError(message, self.source, offset, hint)

    def body(self) -> Text:
        """Parts up to the next tag that is not an opening one, which is left in `tag`; "" at the end of the source."""
        source, start, parts = self.source, self.position, list[Node]()
        while True:
            found = _OPENER.search(source, self.position)
            self.literal(parts, found.start() if found else len(source), trims=bool(found and found[0].endswith("-")))
            if found is None:
                self.tag = ""
                return Text(start, tuple(parts))
            self.position = found.end()
            if found[0].startswith("{#"):
                self.comment(found.start())
            elif found[0].startswith("{{"):
                parser = self.expression("}}")
                if parser.token.kind == "end":
                    raise parser.unexpected("a value between {{ and }}", "{{ '{{' }} writes the braces themselves")
                parts.append(parser.expression())
                self.close(parser, "}}")
            else:
                name = self.tag_name(found.start())
                if name == "if":
                    parts.append(self.branches(found.start()))
                elif name == "for":
                    parts.append(self.loop(found.start()))
                elif name == "raw":
                    self.raw(parts, found.start())
                else:
                    self.tag, self.tag_offset = name, found.start()
                    return Text(start, tuple(parts))

    def literal(self, parts: list[Node], end: int, *, trims: bool) -> None:
        text = self.source[self.position : end]
        if self.trim:
            text = text.lstrip()
        if trims:
            text = text.rstrip()
        self.trim = False
        if text:
            parts.append(Literal(self.position, text))
        self.position = end

    def expression(self, closer: str) -> Parser:
        tokens = tokenize(self.source, self.position, closer, self.tokens)
        self.tokens -= len(tokens)
        self.position = tokens[-1].end
        self.trim = bool(tokens[-1].value)
        return Parser(self.source, tokens, self.depth)

    def close(self, parser: Parser, closer: str) -> None:
        parser.expect("end", closer)

    def comment(self, start: int) -> None:
        end = self.source.find("#}", self.position)
        if end < 0:
            raise self.error("{# is never closed", start, "write #} behind the comment")
        self.trim = end > self.position and self.source[end - 1] == "-"
        self.position = end + 2

    def tag_name(self, start: int) -> str:
        found = _TAG.match(self.source, self.position)
        name = found[1] if found else None
        if not found or not name:
            raise self.error("expected the name of a tag", start, "such as {% if x %} or {% for x in xs %}")
        if name not in _TAGS:
            hint = _ELSEWHERE.get(name) or did_you_mean(name, _TAGS) or "there are if, for and raw"
            raise self.error(f"there is no tag {name[:40]}", found.start(1), hint)
        self.position = found.end()
        return name

    def enter(self, start: int) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH // 2:
            raise self.error(f"blocks nested deeper than {MAX_DEPTH // 2} levels", start)

    def branches(self, start: int) -> If:
        self.enter(start)
        branches: list[tuple[Node, Text]] = []
        otherwise = Text(start, ())
        while True:
            parser = self.expression("%}")
            condition = parser.expression()
            self.close(parser, "%}")
            branches.append((condition, self.body()))
            if self.tag == "else":
                self.close(self.expression("%}"), "%}")
                otherwise = self.body()
            elif self.tag == "elif":
                continue
            break
        self.end("endif", start)
        return If(start, tuple(branches), otherwise)

    def loop(self, start: int) -> For:
        self.enter(start)
        parser = self.expression("%}")
        names = [self.variable(parser)]
        while parser.accept(","):
            names.append(self.variable(parser))
        if len(set(names)) != len(names):
            raise self.error(f"the loop names {names[0]} twice", start)
        parser.expect("in", "in", "a loop is written {% for x in xs %}")
        items = parser.operators(1)
        condition = parser.operators(1) if parser.accept("if") else None
        self.close(parser, "%}")
        body, otherwise = self.body(), Text(start, ())
        if self.tag == "else":
            self.close(self.expression("%}"), "%}")
            otherwise = self.body()
        self.end("endfor", start)
        return For(start, tuple(names), items, condition, body, otherwise)

    def variable(self, parser: Parser) -> str:
        token = parser.expect("name", "the name of the loop's variable", "a loop is written {% for x in xs %}")
        if token.value in RESERVED:
            raise self.error(f"{token.value} is a name of the scope", token.offset, "give the variable another name")
        return str(token.value)

    def end(self, name: str, start: int) -> None:
        opener = name.removeprefix("end")
        if not self.tag:
            raise self.error(f"{{% {opener} %}} is never closed", start, f"write {{% {name} %}} where it ends")
        if self.tag != name:
            raise self.error(f"expected {{% {name} %}}, found {{% {self.tag} %}}", self.tag_offset)
        self.close(self.expression("%}"), "%}")
        self.depth -= 1

    def raw(self, parts: list[Node], start: int) -> None:
        self.close(self.expression("%}"), "%}")
        found = _END_RAW.search(self.source, self.position)
        if found is None:
            raise self.error("{% raw %} is never closed", start, "write {% endraw %} where it ends")
        self.literal(parts, found.start(), trims=found[0].startswith("{%-"))
        self.trim = bool(found[1])
        self.position = found.end()

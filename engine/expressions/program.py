"""Sources in, programs out: the three ways to compile, and what they give."""

from collections.abc import Callable
from functools import lru_cache
from typing import Final

from engine.expressions.blocks import emit_for, emit_if, emit_part, emit_text
from engine.expressions.calls import emit_call, emit_filtered, emit_tested
from engine.expressions.context import Code, Context, Run, constant
from engine.expressions.emit import (
    emit_chain,
    emit_comparison,
    emit_concatenation,
    emit_conditional,
    emit_list,
    emit_literal,
    emit_logic,
    emit_not,
    emit_object,
    emit_sign,
)
from engine.expressions.errors import ExpressionError, Refusal
from engine.expressions.operators import measure
from engine.expressions.parser import parse_expression
from engine.expressions.paths import emit_path
from engine.expressions.queries import emit_query
from engine.expressions.reference import Reference, deduplicate
from engine.expressions.scope import Frame, Scope
from engine.expressions.texts import is_text_with_code, parse_text
from engine.expressions.tokens import check_source
from engine.expressions.tree import (
    Call,
    Chain,
    Comparison,
    Concatenation,
    Conditional,
    Filtered,
    For,
    If,
    ListNode,
    Literal,
    Logic,
    Node,
    Not,
    ObjectNode,
    Path,
    Query,
    Sign,
    Tested,
    Text,
)
from engine.values import MAX_DEPTH, Json

EMITTERS: Final[dict[type, Callable[..., Code]]] = {
    Literal: emit_literal, Path: emit_path, Query: emit_query, ListNode: emit_list, ObjectNode: emit_object,
    Sign: emit_sign, Chain: emit_chain, Comparison: emit_comparison, Concatenation: emit_concatenation,
    Logic: emit_logic, Not: emit_not, Conditional: emit_conditional, Call: emit_call, Filtered: emit_filtered,
    Tested: emit_tested, Text: emit_text, If: emit_if, For: emit_for,
}  # fmt: skip


_CACHED_LENGTH: Final = 4096
_NOWHERE: Final = Scope({}, now=0, seed="")


class Program:
    """A compiled source. Immutable, so one may be shared by all executions and threads.

    source      what it was compiled from: the text, or the tree of texts
    constant    it gives the same value in every scope, and reads nothing
    references  every path that it may read, each once
    """

    __slots__ = ("source", "constant", "references", "_run", "_slots", "_measured")

    source: Json
    constant: bool
    references: tuple[Reference, ...]
    _run: Run
    _slots: int
    _measured: bool

    def __init__(
        self, source: Json, code: Code, references: tuple[Reference, ...], *, slots: int = 0, measured: bool = False
    ) -> None:
        fix = object.__setattr__
        fix(self, "source", source)
        fix(self, "constant", code.constant)
        fix(self, "references", references)
        fix(self, "_run", code.run)
        fix(self, "_slots", slots)
        fix(self, "_measured", measured and not code.constant)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a program never changes: {name} cannot be set")

    def __repr__(self) -> str:
        return f"<Program {str(self.source)[:60]!r}>"

    def evaluate(self, scope: Scope) -> Json:
        """The value in this scope. Treat it as immutable: it may share parts with the scope. Raises ExpressionError."""
        value = self._run(Frame(scope, self._slots))
        if self._measured and (type(value) is list or type(value) is dict):
            try:
                measure(value, secrets=True)
            except Refusal as refusal:
                raise ExpressionError(refusal.message, str(self.source), 0, refusal.hint) from None
        return value


def compile_expression(source: str) -> Program:
    """An expression without braces: `nodes.a.x > 3`. Raises ExpressionError."""
    check_source(source)
    return _expression(source) if len(source) <= _CACHED_LENGTH else _expression.__wrapped__(source)


def compile_text(source: str) -> Program:
    """A text with `{{ }}` and blocks. One that is exactly one `{{ }}` gives its value as it is, any other a string.
    Raises ExpressionError."""
    check_source(source)
    if not is_text_with_code(source):
        return Program(source, constant(source), ())
    return _text(source) if len(source) <= _CACHED_LENGTH else _text.__wrapped__(source)


@lru_cache(maxsize=1024)
def _expression(source: str) -> Program:
    return _program(source, parse_expression)


@lru_cache(maxsize=1024)
def _text(source: str) -> Program:
    return _program(source, parse_text)


def compile_tree(value: Json) -> Program:
    """Any JSON in which each string is a text; keys stay as they are, and so does every part without braces.
    Raises ExpressionError, whose `path` says where in the tree."""
    leaves: list[Program] = []
    code = _compile_tree(value, (), leaves)
    if type(value) is str and leaves:
        return leaves[0]
    references = deduplicate([reference for leaf in leaves for reference in leaf.references])
    measured = len(leaves) > 1 or any(leaf._measured for leaf in leaves)
    return Program(value, code, references, slots=max((leaf._slots for leaf in leaves), default=0), measured=measured)


def _program(source: str, parse: Callable[[str], Node]) -> Program:
    try:
        node = parse(source)
        context = Context(source, EMITTERS)
        code = emit_part(context, node)
    except RecursionError:
        raise ExpressionError("nested too deeply", source, 0) from None
    references = deduplicate(context.references)
    return Program(source, code, references, slots=context.slots, measured=context.multiplies)


def _compile_tree(value: Json, path: tuple[str | int, ...], leaves: list[Program]) -> Code:
    """The code of a part of a tree; `leaves` gets the programs in it that are not constant."""
    if type(value) is str:
        try:
            program = compile_text(value)
        except ExpressionError as error:
            raise ExpressionError(error.message, error.source, error.offset, error.hint, path) from None
        if program.constant:
            return constant(program.evaluate(_NOWHERE))
        leaves.append(program)
        return Code(program._run)
    if type(value) is not dict and type(value) is not list:
        return constant(value)
    if len(path) > MAX_DEPTH:
        raise ExpressionError(f"nested deeper than {MAX_DEPTH} levels", "", 0, path=path)
    keys = list(value) if type(value) is dict else list(range(len(value)))
    codes = [_compile_tree(value[key], (*path, key), leaves) for key in keys]
    if all(code.constant and code.value is value[key] for key, code in zip(keys, codes, strict=True)):
        return constant(value)
    code = Code(_listing(codes) if type(value) is list else _mapping(keys, codes))
    if all(part.constant for part in codes):
        return constant(code.run(Frame(_NOWHERE, 0)))
    return code


def _listing(codes: list[Code]) -> Run:
    runs = tuple(code.run for code in codes)
    return lambda frame: [run(frame) for run in runs]


def _mapping(keys: list[str | int], codes: list[Code]) -> Run:
    entries = tuple((key, code.run) for key, code in zip(keys, codes, strict=True))
    return lambda frame: {key: run(frame) for key, run in entries}

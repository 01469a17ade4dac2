"""The function `jsonpath(expr, value)`: a JSONPath that is itself data, compiled and kept."""

from functools import lru_cache

from engine.expressions.context import Code, Context
from engine.expressions.errors import ExpressionError, Refusal
from engine.expressions.parser import parse_query
from engine.expressions.scope import UNDEFINED, Frame
from engine.expressions.tokens import check_source
from engine.values import Json

_MAX_LENGTH = 1000


def select(frame: Frame, expr: str, value: Json) -> Json:
    """What the path selects; a definite path that is not there is refused, as any path. Raises Refusal."""
    if len(expr) > _MAX_LENGTH:
        raise Refusal(f"a JSONPath is at most {_MAX_LENGTH} characters")
    try:
        code, slots = _compiled(expr)
        inner = Frame(frame.scope, slots)
        inner.locals[0] = value
        inner.steps = frame.steps
        result = code.run(inner)
    except ExpressionError as error:
        raise Refusal(f"jsonpath {expr[:60]}: {error.message}", error.hint) from None
    frame.steps = inner.steps
    if result is UNDEFINED:
        raise Refusal(f"jsonpath: {expr[:60]} is not there", "a path with * or ?(…) gives a list, empty or not")
    return result


@lru_cache(maxsize=256)
def _compiled(expr: str) -> tuple[Code, int]:
    from engine.expressions.program import EMITTERS

    check_source(expr)
    context = Context(expr, EMITTERS)
    with context.binding("$"):
        code = context.compile(parse_query(expr), lenient=True)
    if context.references:
        root = context.references[0].root
        raise ExpressionError(f"a JSONPath in quotes sees its value alone, not {root}", expr, 0)
    return code, context.slots

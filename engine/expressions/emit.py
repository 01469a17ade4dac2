"""Literals, operators and conditions as closures, specialised for the shapes that conditions of workflows have."""

import operator
from collections.abc import Callable
from typing import Final

from engine.expressions.context import Code, Context, Known, constant
from engine.expressions.errors import Refusal
from engine.expressions.operators import BINARY, affirm, brief, join, negate, text_of, truth
from engine.expressions.scope import UNDEFINED, Frame
from engine.expressions.secret import secret_text
from engine.expressions.tree import (
    Chain,
    Comparison,
    Concatenation,
    Conditional,
    Key,
    ListNode,
    Literal,
    Logic,
    Node,
    Not,
    ObjectNode,
    Path,
    Sign,
    Tested,
    is_item,
)
from engine.values import INT_MAX, INT_MIN, Json

_NUMBERS: Final = frozenset({int, float})
_STRINGS: Final = frozenset({str})
_ORDERED: Final = frozenset({int, float, str})
_EQUATED: Final = frozenset({int, float, str, bool, type(None)})
_PLAIN: Final[dict[str, Callable[[Json, Json], Json]]] = {"+": operator.add, "-": operator.sub, "*": operator.mul}
_FAST: Final[dict[str, Callable[[Json, Json], bool]]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


def emit_literal(_context: Context, node: Literal, _lenient: bool) -> Code:
    return constant(node.value)


def emit_list(context: Context, node: ListNode, _lenient: bool) -> Code:
    context.multiplies = context.multiplies or len(node.items) > 1
    codes = [context.compile(item) for item in node.items]
    runs = tuple(code.run for code in codes)
    return context.folded(Code(lambda frame: [run(frame) for run in runs]), *codes)


def emit_object(context: Context, node: ObjectNode, _lenient: bool) -> Code:
    context.multiplies = context.multiplies or len(node.values) > 1
    keys = [context.compile(key) for key in node.keys]
    values = [context.compile(value) for value in node.values]
    for key, place in zip(keys, node.keys, strict=True):
        if key.constant and type(key.value) is not str:
            raise context.error(
                place.offset, f"a key is a string, not {brief(key.value)}", 'write it in quotes: {"1": …}'
            )
    entries = tuple(
        (key.run, value.run, context.refuse(place.offset))
        for key, value, place in zip(keys, values, node.keys, strict=True)
    )

    def run(frame: Frame) -> Json:
        made: dict[str, Json] = {}
        for key_of, value_of, refuse in entries:
            key = key_of(frame)
            if type(key) is not str:
                raise refuse(_key_refusal(key))
            made[key] = value_of(frame)
        return made

    return context.folded(Code(run), *keys, *values)


def _key_refusal(key: Json) -> Refusal:
    try:
        return Refusal(f"a key is a string, not {brief(key)}", "convert it: |string")
    except Refusal as refusal:
        return refusal


def emit_sign(context: Context, node: Sign, lenient: bool) -> Code:
    operand = context.compile(node.operand, lenient=lenient)
    value, refuse = operand.run, context.refuse(node.offset)
    operate = negate if node.operator == "-" else affirm

    def run(frame: Frame) -> Json:
        found = value(frame)
        if found is UNDEFINED:
            return found
        try:
            return operate(frame, found)
        except Refusal as refusal:
            raise refuse(refusal) from None

    return context.folded(Code(run), operand)


def emit_chain(context: Context, node: Chain, _lenient: bool) -> Code:
    codes = [context.compile(node.first), *(context.compile(operand) for _, _, operand in node.rest)]
    first = codes[0].run
    rest = tuple(
        (BINARY[name], _PLAIN.get(name), code.run, context.refuse(offset))
        for (name, offset, _), code in zip(node.rest, codes[1:], strict=True)
    )

    def run(frame: Frame) -> Json:
        value = first(frame)
        for operate, plain, operand, refuse in rest:
            other = operand(frame)
            if plain and type(value) in _NUMBERS and type(other) in _NUMBERS:
                result = plain(value, other)
                # Beyond, and where it is no number at all, the operator itself decides.
                if INT_MIN <= result <= INT_MAX:
                    value = result
                    continue
            try:
                value = operate(frame, value, other)
            except Refusal as refusal:
                raise refuse(refusal) from None
        return value

    return context.folded(Code(run), *codes)


def emit_comparison(context: Context, node: Comparison, _lenient: bool) -> Code:
    lenient = context.lenient_items
    operands = [node.first, *(operand for _, _, operand in node.rest)]
    codes = [context.compile(operand, lenient=lenient and is_item(operand)) for operand in operands]
    if len(node.rest) == 1 and not lenient:
        name, offset, _ = node.rest[0]
        run = _fast_comparison(context, name, offset, *codes)
        if run is not None:
            return context.folded(Code(run, boolean=True), *codes)
    first = codes[0].run
    rest = tuple(
        (name, BINARY[name], code.run, context.refuse(offset))
        for (name, offset, _), code in zip(node.rest, codes[1:], strict=True)
    )

    def compare(frame: Frame) -> bool:
        left = first(frame)
        for name, operate, operand, refuse in rest:
            right = operand(frame)
            if left is UNDEFINED or right is UNDEFINED:
                # In a JSONPath's condition what is not there equals nothing.
                holds = name in ("!=", "not in")
            else:
                try:
                    holds = operate(frame, left, right)
                except Refusal as refusal:
                    raise refuse(refusal) from None
            if not holds:
                return False
            left = right
        return True

    return context.folded(Code(compare, boolean=True), *codes)


def _fast_comparison(
    context: Context, name: str, offset: int, left: Code, right: Code
) -> Callable[[Frame], bool] | None:
    """One comparison of scalars without a detour; everything else goes to the operator itself."""
    fast = _FAST.get(name)
    if fast is None:
        return None
    slow, refuse, left_of = BINARY[name], context.refuse(offset), left.run

    def careful(frame: Frame, a: Json, b: Json) -> bool:
        try:
            return bool(slow(frame, a, b))
        except Refusal as refusal:
            raise refuse(refusal) from None

    fixed = right.value
    if right.constant and type(fixed) in _ORDERED:
        accepted = _STRINGS if type(fixed) is str else _NUMBERS

        def against_constant(frame: Frame) -> bool:
            a = left_of(frame)
            return fast(a, fixed) if type(a) in accepted else careful(frame, a, fixed)

        return against_constant
    scalars = _EQUATED if name in ("==", "!=") else _ORDERED
    right_of = right.run

    def against_value(frame: Frame) -> bool:
        a, b = left_of(frame), right_of(frame)
        return fast(a, b) if type(a) is type(b) and type(a) in scalars else careful(frame, a, b)

    return against_value


def emit_not(context: Context, node: Not, _lenient: bool) -> Code:
    operand = context.condition(node.operand)
    value = operand.run
    return context.folded(Code(lambda frame: not value(frame), boolean=True), operand)


def emit_logic(context: Context, node: Logic, _lenient: bool) -> Code:
    """`and`, `or`: as in Jinja the result is the operand that decides, and the rest is not evaluated."""
    codes: list[Code] = []
    known: frozenset[Known] = frozenset()
    for part in node.parts:
        with context.knowing(known):
            codes.append(context.compile(part))
        if node.operator == "and":
            known |= defined_by(part)
    boolean = all(code.boolean for code in codes)
    stops = node.operator == "or"
    if len(codes) == 2 and codes[0].boolean:
        first, second = codes[0].run, codes[1].run
        run = (lambda frame: first(frame) or second(frame)) if stops else (lambda frame: first(frame) and second(frame))
        return context.folded(Code(run, boolean=boolean), *codes)
    parts = tuple((code.run, context.refuse(part.offset)) for code, part in zip(codes, node.parts, strict=True))

    def decide(frame: Frame) -> Json:
        value: Json = None
        for run, refuse in parts:
            value = run(frame)
            try:
                if truth(value) is stops:
                    return value
            except Refusal as refusal:
                raise refuse(refusal) from None
        return value

    return context.folded(Code(decide, boolean=boolean), *codes)


def emit_conditional(context: Context, node: Conditional, lenient: bool) -> Code:
    condition = context.condition(node.condition)
    with context.knowing(defined_by(node.condition)):
        then = context.compile(node.then, lenient=lenient)
    otherwise = context.compile(node.otherwise, lenient=lenient)
    asked, yes, no = condition.run, then.run, otherwise.run

    def run(frame: Frame) -> Json:
        return yes(frame) if asked(frame) else no(frame)

    return context.folded(Code(run, boolean=then.boolean and otherwise.boolean), condition, then, otherwise)


def emit_concatenation(context: Context, node: Concatenation, _lenient: bool) -> Code:
    return concatenation(context, node, secrets=False)


def concatenation(context: Context, node: Concatenation, *, secrets: bool) -> Code:
    """`a ~ b`: every value as it stands in a text. With `secrets`, where its result may be one, secrets are parts."""
    codes = [secret_text(context, part) if secrets else None for part in node.parts]
    made = [code or context.compile(part) for code, part in zip(codes, node.parts, strict=True)]
    runs, refuse = tuple(code.run for code in made), context.refuse(node.offset)

    def run(frame: Frame) -> Json:
        values = [part(frame) for part in runs]
        try:
            return join(frame, [text_of(frame, value) for value in values])
        except Refusal as refusal:
            raise refuse(refusal) from None

    return context.folded(Code(run), *made)


def defined_by(condition: Node) -> frozenset[Known]:
    """The paths that are there where a condition holds."""
    if isinstance(condition, Tested) and isinstance(condition.operand, Path):
        path = condition.operand
        if condition.name == ("undefined" if condition.negated else "defined") and isinstance(path.root, str):
            keys = [segment.key for segment in path.segments if isinstance(segment, Key)]
            if len(keys) == len(path.segments):
                return frozenset({(path.root, tuple(keys))})
    if isinstance(condition, Logic) and condition.operator == "and":
        return frozenset().union(*(defined_by(part) for part in condition.parts))
    return frozenset()

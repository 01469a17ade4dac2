"""Functions, filters and tests as closures: names and arguments are bound when compiled, kinds checked at the call."""

from collections.abc import Callable
from typing import Final

from engine.expressions.arguments import bind_arguments, no_such, tested
from engine.expressions.builtin.higher import HIGHER
from engine.expressions.catalog import FILTERS, FUNCTIONS
from engine.expressions.context import Code, Context, constant
from engine.expressions.errors import ExpressionError, Refusal, did_you_mean, one_of
from engine.expressions.higher import emit_higher
from engine.expressions.operators import truth
from engine.expressions.scope import UNDEFINED, Frame
from engine.expressions.tree import Arguments, Call, Filtered, Tested, is_item
from engine.values import Json

_DEFAULT: Final = FILTERS["default"]
Apply = Callable[[Frame, Json], Json]


def emit_call(context: Context, node: Call, _lenient: bool) -> Code:
    function = FUNCTIONS.get(node.name)
    if function is None:
        hint = did_you_mean(node.name, FUNCTIONS)
        if node.name in FILTERS:
            hint = f"it is a filter: write x|{node.name}"
        raise context.error(node.offset, f"there is no function {node.name[:40]}", hint or one_of(FUNCTIONS, 20))
    context.multiplies = True
    codes, fetch = bind_arguments(context, function, node.arguments, node.offset, 0)
    run, refuse = function.run, context.refuse(node.offset)

    def call(frame: Frame) -> Json:
        arguments = fetch(frame)
        try:
            function.check(arguments)
            return run(frame, *arguments)
        except Refusal as refusal:
            raise refuse(refusal) from None

    return context.folded(Code(call), *codes) if function.pure else Code(call)


def emit_filtered(context: Context, node: Filtered, lenient: bool) -> Code:
    found = FILTERS.get(node.name)
    if found is None:
        raise no_such(context, node.offset, "filter", node.name, FILTERS)
    if found is _DEFAULT:
        return _emit_default(context, node, lenient)
    context.multiplies = True
    if found.name in HIGHER:
        return emit_higher(context, node, found)
    passes = lenient and found.pathlike
    operand = context.compile(node.operand, lenient=passes)
    codes, fetch = bind_arguments(context, found, node.arguments, node.offset, 1)
    value, run, refuse = operand.run, found.run, context.refuse(node.offset)
    pathlike, source, offset = found.pathlike, context.source, node.offset
    accepted = found.parameters[0].types

    def call(frame: Frame) -> Json:
        subject = value(frame)
        if subject is UNDEFINED:
            return subject
        arguments = fetch(frame)
        try:
            if arguments or accepted is None or type(subject) not in accepted:
                found.check([subject, *arguments])
            result = run(frame, subject, *arguments)
        except Refusal as refusal:
            raise refuse(refusal) from None
        if result is UNDEFINED and not passes:
            hint = "|default(…) says what to take instead"
            raise ExpressionError(f"{found.name} of nothing is undefined", source, offset, hint)
        return result

    code = Code(call)
    return context.folded(code, operand, *codes) if found.pure and not pathlike else code


def _emit_default(context: Context, node: Filtered, lenient: bool) -> Code:
    """`x|default(y)`: y where x is not there; with `true` as second argument also where x is false or empty."""
    operand = context.compile(node.operand, lenient=True)
    try:
        order = _DEFAULT.bind(len(node.arguments.positional) + 1, [name for name, _, _ in node.arguments.named])
    except Refusal as refusal:
        raise context.refuse(node.offset)(refusal) from None
    given = [*node.arguments.positional, *(value for _, _, value in node.arguments.named)]
    nodes = [None if index is None else given[index - 1] for index in order[1:]]
    fallback = context.compile(nodes[0], lenient=lenient) if nodes[0] else constant("")
    also_false = context.condition(nodes[1]) if nodes[1] else constant(False)
    value, other, asked, refuse = operand.run, fallback.run, also_false.run, context.refuse(node.offset)

    if also_false.constant and not also_false.value:

        def plain(frame: Frame) -> Json:
            found = value(frame)
            return other(frame) if found is UNDEFINED else found

        return context.folded(Code(plain), operand, fallback)

    def run(frame: Frame) -> Json:
        found = value(frame)
        if found is UNDEFINED:
            return other(frame)
        try:
            return other(frame) if asked(frame) and not truth(found) else found
        except Refusal as refusal:
            raise refuse(refusal) from None

    return context.folded(Code(run), operand, fallback, also_false)


def emit_tested(context: Context, node: Tested, _lenient: bool) -> Code:
    negated = node.negated
    if node.name in ("defined", "undefined"):
        if node.arguments != Arguments():
            raise context.error(node.offset, f"{node.name} takes no arguments")
        present = context.compile(node.operand, lenient=True).run
        wanted = (node.name == "defined") is not negated
        return Code(lambda frame: (present(frame) is not UNDEFINED) is wanted, boolean=True)
    operand = context.compile(node.operand, lenient=context.lenient_items and is_item(node.operand))
    codes, apply = tested(context, node.name, node.arguments, node.offset)
    value = operand.run

    def run(frame: Frame) -> bool:
        found = value(frame)
        if found is UNDEFINED:
            return negated
        return bool(apply(frame)(frame, found)) is not negated

    return context.folded(Code(run, boolean=True), operand, *codes)

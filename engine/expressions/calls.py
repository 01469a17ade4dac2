"""Functions, filters and tests as closures: names and arguments are bound when compiled, kinds checked at the call."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from engine.expressions.catalog import ABSENT, FILTERS, FUNCTIONS, TESTS
from engine.expressions.context import Code, Context, Run, constant
from engine.expressions.errors import ExpressionError, Refusal, did_you_mean, one_of
from engine.expressions.higher import HIGHER, attribute_of
from engine.expressions.library import Descriptor, Filter
from engine.expressions.operators import truth
from engine.expressions.paths import walk
from engine.expressions.scope import UNDEFINED, Frame
from engine.expressions.tree import Arguments, Call, Filtered, Literal, Node, Tested
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
    codes, fetch = _arguments(context, function, node.arguments, node.offset, 0)
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
        raise _no_such(context, node.offset, "filter", node.name, FILTERS)
    if found is _DEFAULT:
        return _emit_default(context, node, lenient)
    context.multiplies = True
    if found.name in HIGHER:
        return _emit_higher(context, node, found)
    passes = lenient and found.pathlike
    operand = context.compile(node.operand, lenient=passes)
    codes, fetch = _arguments(context, found, node.arguments, node.offset, 1)
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
    operand = context.compile(node.operand, lenient=context.lenient_comparisons)
    codes, apply = _test(context, node.name, node.arguments, node.offset)
    value = operand.run

    def run(frame: Frame) -> bool:
        found = value(frame)
        if found is UNDEFINED:
            return negated
        return bool(apply(frame)(frame, found)) is not negated

    return context.folded(Code(run, boolean=True), operand, *codes)


def _test(
    context: Context, name: str, arguments: Arguments, offset: int
) -> tuple[list[Code], Callable[[Frame], Apply]]:
    """A test with its arguments: evaluated once, then asked of any number of values."""
    test = TESTS.get(name)
    if test is None:
        raise _no_such(context, offset, "test", name, TESTS)
    return _applied(context, test, arguments, offset)


def _applied(
    context: Context, descriptor: Descriptor, arguments: Arguments, offset: int
) -> tuple[list[Code], Callable[[Frame], Apply]]:
    codes, fetch = _arguments(context, descriptor, arguments, offset, 1)
    run, refuse, check = descriptor.run, context.refuse(offset), descriptor.check

    def prepare(frame: Frame) -> Apply:
        values = fetch(frame)

        def apply(frame: Frame, value: Json) -> Json:
            try:
                check([value, *values])
                result = run(frame, value, *values)
                if result is UNDEFINED:
                    raise Refusal(f"{descriptor.name} of nothing is undefined")
                return result
            except Refusal as refusal:
                raise refuse(refusal) from None

        return apply

    return codes, prepare


def _emit_higher(context: Context, node: Filtered, found: Filter) -> Code:
    """`map`, `select`, `selectattr` …: their first arguments name a filter, a test or an attribute, as text that is
    known when compiled, so that a wrong name is an error at load."""
    operand = context.compile(node.operand)
    plan = HIGHER[found.name]
    positional, named = list(node.arguments.positional), list(node.arguments.named)
    takes = {name: value for name, _, value in named if found.name == "map" and name in ("attribute", "default")}
    attribute: tuple[str | int, ...] | None = None
    if plan.attribute:
        attribute = attribute_of(_text(context, node, positional.pop(0) if positional else None, "an attribute's name"))
    elif "attribute" in takes:
        attribute = attribute_of(_text(context, node, takes["attribute"], "an attribute's name"))
    fallback = context.compile(takes["default"]) if "default" in takes else None
    rest = Arguments(tuple(positional[1:]), tuple(one for one in named if one[0] not in takes))
    prepare: Callable[[Frame], Apply] | None = None
    presence = False
    if positional:
        name = _text(context, node, positional[0], f"a {plan.applies}'s name")
        if plan.applies == "filter":
            known = FILTERS.get(name)
            if known is None:
                raise _no_such(context, positional[0].offset, "filter", name, FILTERS)
            if known is _DEFAULT or known.name in HIGHER:
                raise context.error(positional[0].offset, f"{name} cannot be applied by {found.name}")
            _, prepare = _applied(context, known, rest, positional[0].offset)
        elif name in ("defined", "undefined"):
            prepare, presence = _presence(name == "defined"), True
        else:
            _, prepare = _test(context, name, rest, positional[0].offset)
    elif rest.named or (found.name == "map" and attribute is None):
        raise context.error(node.offset, f"{found.name} needs a {plan.applies}'s name", f"it is {found.signature}")
    if found.name == "map" and attribute is not None and prepare is not None:
        raise context.error(node.offset, "map takes a filter or an attribute, not both", f"it is {found.signature}")
    return Code(_loop(context, node, found, operand.run, attribute, fallback, prepare, presence))


def _loop(
    context: Context,
    node: Filtered,
    found: Filter,
    value: Run,
    attribute: tuple[str | int, ...] | None,
    fallback: Code | None,
    prepare: Callable[[Frame], Apply] | None,
    presence: bool,
) -> Run:
    refuse, plan = context.refuse(node.offset), HIGHER[found.name]
    missing_hint = "map(attribute=…, default=…)" if found.name == "map" else f"{found.name}('…', 'defined') asks first"

    def read(frame: Frame, item: Json) -> Json:
        if attribute is None:
            return item
        result = walk(item, attribute)
        if result is UNDEFINED and not presence:
            if fallback is None:
                raise Refusal(f"an item has no {'.'.join(map(str, attribute))}", missing_hint)
            return fallback.run(frame)
        return result

    def run(frame: Frame) -> Json:
        items = value(frame)
        apply = prepare(frame) if prepare else plan.without
        try:
            found.check([items])
            frame.spend(3 * len(items))
            if found.name == "map":
                return [apply(frame, read(frame, item)) for item in items]
            return [item for item in items if truth(apply(frame, read(frame, item))) is plan.keeps]
        except Refusal as refusal:
            raise refuse(refusal) from None

    return run


def _presence(wanted: bool) -> Callable[[Frame], Apply]:
    return lambda _frame: lambda _inner, value: (value is not UNDEFINED) is wanted


def _text(context: Context, node: Filtered, argument: Node | None, what: str) -> str:
    if isinstance(argument, Literal) and type(argument.value) is str:
        return argument.value
    if argument is None:
        raise context.error(node.offset, f"{node.name} needs {what}", f"it is {FILTERS[node.name].signature}")
    raise context.error(argument.offset, f"{node.name} needs {what} in quotes")


def _arguments(
    context: Context, descriptor: Descriptor, arguments: Arguments, offset: int, before: int
) -> tuple[list[Code], Callable[[Frame], Sequence[Json]]]:
    """Arguments in the order of the parameters behind the first `before`, with defaults filled in."""
    try:
        order = descriptor.bind(len(arguments.positional) + before, [name for name, _, _ in arguments.named])
    except Refusal as refusal:
        raise context.refuse(offset)(refusal) from None
    given = [context.compile(node) for node in arguments.positional]
    given += [context.compile(node) for _, _, node in arguments.named]
    chosen = list(order[before:])
    while chosen and chosen[-1] is None:
        chosen.pop()  # defaults at the end are the implementation's own
    codes = [
        constant(descriptor.parameters[place].default) if index is None else given[index - before]
        for place, index in enumerate(chosen, before)
    ]
    if all(code.constant for code in codes):
        fixed = tuple(code.value for code in codes)
        return given, lambda _frame: fixed
    runs = tuple(code.run for code in codes)
    return given, lambda frame: [run(frame) for run in runs]


def _no_such(context: Context, offset: int, what: str, name: str, known: Mapping[str, Descriptor]) -> ExpressionError:
    hint = ABSENT.get(name, "") if what == "filter" else ""
    if what == "filter" and name in FUNCTIONS:
        hint = f"it is a function: write {name}(x)"
    return context.error(offset, f"there is no {what} {name[:40]}", hint or did_you_mean(name, known) or one_of(known))

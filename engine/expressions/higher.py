"""`map`, `select`, `reject`, `selectattr`, `rejectattr` as closures: what they apply to each item is named by text."""

from collections.abc import Callable

from engine.expressions.arguments import Apply, applied, no_such, tested
from engine.expressions.builtin.higher import HIGHER
from engine.expressions.catalog import FILTERS
from engine.expressions.context import Code, Context, Run
from engine.expressions.errors import Refusal
from engine.expressions.library import Filter
from engine.expressions.operators import truth
from engine.expressions.paths import attribute_of, walk
from engine.expressions.scope import UNDEFINED, Frame
from engine.expressions.tree import Arguments, Filtered, Literal, Node
from engine.values import Json


def emit_higher(context: Context, node: Filtered, found: Filter) -> Code:
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
                raise no_such(context, positional[0].offset, "filter", name, FILTERS)
            if known.name == "default" or known.name in HIGHER:
                raise context.error(positional[0].offset, f"{name} cannot be applied by {found.name}")
            _, prepare = applied(context, known, rest, positional[0].offset)
        elif name in ("defined", "undefined"):
            prepare, presence = _presence(name == "defined"), True
        else:
            _, prepare = tested(context, name, rest, positional[0].offset)
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

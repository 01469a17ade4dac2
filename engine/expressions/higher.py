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
    asks = False
    if positional:
        name = _text(context, node, positional[0], f"a {plan.applies}'s name")
        asks = plan.applies == "test" and name in ("defined", "undefined")
        prepare = _presence(name == "defined") if asks else _named(context, found, name, rest, positional[0].offset)
    elif rest.named or (found.name == "map" and attribute is None):
        raise context.error(node.offset, f"{found.name} needs a {plan.applies}'s name", f"it is {found.signature}")
    if found.name == "map" and attribute is not None and prepare is not None:
        raise context.error(node.offset, "map takes a filter or an attribute, not both", f"it is {found.signature}")
    read = None if attribute is None else _reader(found, attribute, fallback, asks=asks)
    return Code(_loop(context, node, found, operand.run, read, prepare))


def _named(context: Context, found: Filter, name: str, arguments: Arguments, offset: int) -> Callable[[Frame], Apply]:
    """The filter or test that is applied to each item."""
    if HIGHER[found.name].applies == "test":
        return tested(context, name, arguments, offset)[1]
    known = FILTERS.get(name)
    if known is None:
        raise no_such(context, offset, "filter", name, FILTERS)
    if known.name == "default" or known.name in HIGHER:
        raise context.error(offset, f"{name} cannot be applied by {found.name}")
    return applied(context, known, arguments, offset)[1]


def _loop(
    context: Context,
    node: Filtered,
    found: Filter,
    value: Run,
    read: Apply | None,
    prepare: Callable[[Frame], Apply] | None,
) -> Run:
    refuse, keeps, maps = context.refuse(node.offset), HIGHER[found.name].keeps, found.name == "map"

    def run(frame: Frame) -> Json:
        items = value(frame)
        apply = prepare(frame) if prepare else None
        try:
            found.check([items])
            frame.spend(3 * len(items))
            answers = [read(frame, item) for item in items] if read else items
            if apply:
                answers = [apply(frame, answer) for answer in answers]
            if maps:
                return answers
            return [
                item
                for item, answer in zip(items, answers, strict=True)
                if (answer if type(answer) is bool else truth(answer)) is keeps
            ]
        except Refusal as refusal:
            raise refuse(refusal) from None

    return run


def _reader(found: Filter, attribute: tuple[str | int, ...], fallback: Code | None, *, asks: bool) -> Apply:
    """One attribute of an item; `asks` where a test wants to know whether it is there."""
    first = attribute[0] if len(attribute) == 1 else None
    hint = "map(attribute=…, default=…)" if found.name == "map" else f"{found.name}('…', 'defined') asks first"

    def read(frame: Frame, item: Json) -> Json:
        if type(item) is dict and first in item:
            return item[first]
        result = walk(item, attribute)
        if result is UNDEFINED and not asks:
            if fallback is None:
                raise Refusal(f"an item has no {'.'.join(map(str, attribute))}", hint)
            return fallback.run(frame)
        return result

    return read


def _presence(wanted: bool) -> Callable[[Frame], Apply]:
    return lambda _frame: lambda _inner, value: (value is not UNDEFINED) is wanted


def _text(context: Context, node: Filtered, argument: Node | None, what: str) -> str:
    if isinstance(argument, Literal) and type(argument.value) is str:
        return argument.value
    if argument is None:
        raise context.error(node.offset, f"{node.name} needs {what}", f"it is {FILTERS[node.name].signature}")
    raise context.error(argument.offset, f"{node.name} needs {what} in quotes")

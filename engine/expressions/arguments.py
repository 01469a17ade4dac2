"""Names and arguments of functions, filters and tests, bound when compiled."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from engine.expressions.catalog import ABSENT, FUNCTIONS, TESTS
from engine.expressions.context import Code, Context, constant
from engine.expressions.errors import ExpressionError, Refusal, did_you_mean, one_of
from engine.expressions.library import Descriptor
from engine.expressions.scope import UNDEFINED, Frame
from engine.expressions.tree import Arguments
from engine.values import Json

Apply: TypeAlias = Callable[[Frame, Json], Json]
"""A filter or a test with its arguments, waiting for values."""


def bind_arguments(
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


def tested(
    context: Context, name: str, arguments: Arguments, offset: int
) -> tuple[list[Code], Callable[[Frame], Apply]]:
    """A test with its arguments: evaluated once, then asked of any number of values."""
    test = TESTS.get(name)
    if test is None:
        raise no_such(context, offset, "test", name, TESTS)
    return applied(context, test, arguments, offset)


def applied(
    context: Context, descriptor: Descriptor, arguments: Arguments, offset: int
) -> tuple[list[Code], Callable[[Frame], Apply]]:
    codes, fetch = bind_arguments(context, descriptor, arguments, offset, 1)
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


def no_such(context: Context, offset: int, what: str, name: str, known: Mapping[str, Descriptor]) -> ExpressionError:
    hint = ABSENT.get(name, "") if what == "filter" else ""
    if what == "filter" and name in FUNCTIONS:
        hint = f"it is a function: write {name}(x)"
    return context.error(offset, f"there is no {what} {name[:40]}", hint or did_you_mean(name, known) or one_of(known))

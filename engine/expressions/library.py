"""What a function, a filter or a test is: a Python function over JSON values, and what people are told about it.

The parameters behind the frame are the language's: their annotations say which kinds they take, and both are checked
before the call. So a body sees what it asked for, and every message about a wrong argument reads the same.
"""

import inspect
import types
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from engine.expressions.errors import Refusal, did_you_mean
from engine.expressions.operators import brief, kind
from engine.expressions.scope import UNDEFINED
from engine.secrets import SecretText
from engine.values import Json, encode_json

Items: TypeAlias = list[Json]
Object: TypeAlias = dict[str, Json]
Number: TypeAlias = int | float
Scalar: TypeAlias = str | int | float | bool
Implementation: TypeAlias = Callable[..., Json]

_NAMES: Final[dict[type, str]] = {
    str: "a string", int: "an integer", float: "a number", bool: "true or false", list: "a list", dict: "an object",
    type(None): "null",
}  # fmt: skip
_SHOWN: Final[dict[type, str]] = {
    str: "string", int: "integer", float: "number", bool: "boolean", list: "list", dict: "object", type(None): "null",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Parameter:
    """One argument: its name, the exact types it takes (None: any value), and its default."""

    name: str
    types: frozenset[type] | None
    default: Json
    required: bool
    repeated: bool

    @property
    def expected(self) -> str:
        names = [_NAMES[one] for one in _NAMES if self.types and one in self.types]
        if "a number" in names and "an integer" in names:
            names.remove("an integer")
        return " or ".join(names)

    def __str__(self) -> str:
        shown = [_SHOWN[one] for one in _SHOWN if self.types and one in self.types] or ["any"]
        if "number" in shown and "integer" in shown:
            shown.remove("integer")
        kinds = "|".join(shown)
        if self.repeated:
            return f"*{self.name}: {kinds}"
        if self.required:
            return f"{self.name}: {kinds}"
        if self.default is UNDEFINED:
            return f"{self.name}?: {kinds}"
        return f"{self.name}: {kinds} = {encode_json(self.default).decode()}"


class Descriptor:
    """A name of the language with its description, its tested example and its implementation.

    `example` is an expression and `result` what it gives with an empty scope, `now` 0 and the seed "example".
    """

    __slots__ = ("name", "description", "example", "result", "aliases", "run", "parameters", "pure")

    def __init__(
        self,
        name: str,
        run: Implementation,
        description: str,
        example: str,
        result: Json,
        *,
        aliases: tuple[str, ...] = (),
        pure: bool = True,
    ) -> None:
        self.name = name
        self.run = run
        self.description = description
        self.example = example
        self.result = result
        self.aliases = aliases
        self.pure = pure
        self.parameters = _parameters(run)

    @property
    def signature(self) -> str:
        """How it is written, for people: `x|truncate(length: integer = 255, …)`."""
        return f"{self.name}({', '.join(map(str, self.parameters))})"

    def bind(self, positional: int, named: Sequence[str]) -> tuple[int | None, ...]:
        """Which argument each parameter gets: an index into the positional then named arguments, None for a default;
        the repeated parameter's arguments come last. Raises Refusal on a call that can never fit."""
        repeated = bool(self.parameters) and self.parameters[-1].repeated
        plain = self.parameters[:-1] if repeated else self.parameters
        order: list[int | None] = []
        for index, parameter in enumerate(plain):
            given = named.index(parameter.name) if parameter.name in named else None
            if index < positional:
                if given is not None:
                    raise Refusal(f"{self.name}: {parameter.name} is given twice", f"it is {self.signature}")
                order.append(index)
            elif given is not None:
                order.append(positional + given)
            elif parameter.required:
                raise Refusal(f"{self.name} needs {parameter.name}", f"it is {self.signature}")
            else:
                order.append(None)
        for name in named:
            if name not in [parameter.name for parameter in plain]:
                hint = did_you_mean(name, [parameter.name for parameter in plain]) or f"it is {self.signature}"
                raise Refusal(f"{self.name} has no argument {name}", hint)
        if positional > len(plain):
            if not repeated:
                raise Refusal(f"{self.name} takes {_count(len(plain))}, not {positional}", f"it is {self.signature}")
            order.extend(range(len(plain), positional))
        return tuple(order)

    def check(self, arguments: Sequence[Json]) -> None:
        """Refuse arguments (in the order of the parameters) of a kind that the parameter does not take."""
        for index, value in enumerate(arguments):
            parameter = self.parameters[min(index, len(self.parameters) - 1)]
            accepted = parameter.types
            if accepted is None:
                if type(value) is SecretText:
                    raise Refusal(f"{self.name} may not see a secret")
                kind(value)
            elif type(value) not in accepted and not (
                value is None and parameter.default is None and not parameter.required
            ):
                what = self.name if index == 0 and not isinstance(self, Function) else f"{self.name}: {parameter.name}"
                raise Refusal(f"{what} needs {parameter.expected}, not {brief(value)}", _remedy(value, accepted))


class Function(Descriptor):
    """Called by name: `max(a, b)`."""

    __slots__ = ()


class Filter(Descriptor):
    """Applied with a bar; the value on its left is the first parameter: `x|round(1)`.

    `pathlike` ones may give UNDEFINED, and pass on what is undefined on their left, where `|default` follows.
    """

    __slots__ = ("pathlike", "usage")

    def __init__(
        self,
        name: str,
        run: Implementation,
        description: str,
        example: str,
        result: Json,
        *,
        aliases: tuple[str, ...] = (),
        pure: bool = True,
        pathlike: bool = False,
        usage: str = "",
    ) -> None:
        super().__init__(name, run, description, example, result, aliases=aliases, pure=pure)
        self.pathlike = pathlike
        self.usage = usage

    @property
    def signature(self) -> str:
        if self.usage:
            return self.usage
        first, *rest = self.parameters
        kinds = str(first).partition(": ")[2]
        return f"{kinds}|{self.name}" + (f"({', '.join(map(str, rest))})" if rest else "")


class Test(Descriptor):
    """Asked with `is`: `x is divisibleby(3)`."""

    __slots__ = ()
    __test__ = False  # pytest, this is no test class

    @property
    def signature(self) -> str:
        first, *rest = self.parameters
        kinds = str(first).partition(": ")[2]
        return f"{kinds} is {self.name}" + (f"({', '.join(map(str, rest))})" if rest else "")


Kind = typing.TypeVar("Kind", bound=Descriptor)


def index(descriptors: Sequence[Kind]) -> dict[str, Kind]:
    """Descriptors by name and alias."""
    named: dict[str, Kind] = {}
    for descriptor in descriptors:
        for name in (descriptor.name, *descriptor.aliases):
            named[name] = descriptor
    return named


def _parameters(run: Implementation) -> tuple[Parameter, ...]:
    found = list(inspect.signature(run).parameters.values())[1:]  # behind the frame
    return tuple(
        Parameter(
            name=one.name.rstrip("_"),
            types=_types(one.annotation),
            default=None if one.default is one.empty else one.default,
            required=one.default is one.empty and one.kind is not one.VAR_POSITIONAL,
            repeated=one.kind is one.VAR_POSITIONAL,
        )
        for one in found
    )


def _types(annotation: Any) -> frozenset[type] | None:
    if annotation is Any:
        return None
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union:
        return frozenset().union(*(_types(one) or frozenset() for one in typing.get_args(annotation)))
    return frozenset({type(None) if annotation is None else typing.get_origin(annotation) or annotation})


def _count(number: int) -> str:
    return {0: "no arguments", 1: "one argument"}.get(number, f"at most {number} arguments")


def _remedy(value: Json, accepted: frozenset[type]) -> str:
    if value is None:
        return "null is a value of its own: |default(x, true) replaces it"
    if type(value) is str and (int in accepted or float in accepted):
        return 'convert the string: "7.5"|float, "7"|int'
    if type(value) in (int, float, bool) and accepted == {str}:
        return f"convert the {kind(value)}: |string"
    if type(value) is float and int in accepted:
        return "make it whole: |round|int"
    if type(value) is dict and list in accepted:
        return "take |items, |keys or |values of the object"
    return ""

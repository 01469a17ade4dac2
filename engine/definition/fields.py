"""One object of a file against one struct: each field by itself, so that all that is wrong is said together."""

import re
from collections.abc import Callable, Collection, Mapping
from functools import lru_cache
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

from engine.definition.form import NOT_IMPLEMENTED
from engine.definition.problems import Path, Problems, shown
from engine.quantities import parse_duration, parse_size
from engine.values import Json

__all__ = ["check_known", "convert", "expected", "fields_of", "is_object", "read_fields", "read_struct"]

T = TypeVar("T", bound=msgspec.Struct)

_AT = re.compile(r"(.*?)(?: - at `(key in )?(\$.*)`)?", re.DOTALL)
_STEP = re.compile(r"\.([^.\[\]]+)|\[([0-9]+|\.\.\.)\]")
_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}
_BOUNDS = (("ge", ">="), ("gt", ">"), ("le", "<="), ("lt", "<"))


@lru_cache(maxsize=1024)
def fields_of(struct: type[msgspec.Struct]) -> tuple[msgspec.structs.FieldInfo, ...]:
    """The fields of a struct, found once: a workflow may have thousands of nodes."""
    return msgspec.structs.fields(struct)


def read_struct(form: type[T], tree: Json, path: Path, problems: Problems, *, where: str = "field") -> T | None:
    """The struct that an object stands for, or None where something is wrong with it."""
    values = read_fields(form, tree, path, problems, where=where)
    if values is None or any(field.required and field.name not in values for field in fields_of(form)):
        return None
    return form(**values)


def read_fields(
    form: type[msgspec.Struct], tree: Json, path: Path, problems: Problems, *, where: str = "field"
) -> dict[str, Any] | None:
    """The valid fields among those that an object has, by name; what is wrong with the others becomes problems. None if
    it is not an object. `where` is the entry of NOT_IMPLEMENTED that knows the fields to come."""
    if not is_object(tree, path, problems):
        return None
    fields = {field.encode_name: field for field in fields_of(form)}
    check_known(tree, fields, path, problems, where=where)
    values = {}
    for name, field in fields.items():
        if name in tree:
            found = len(problems)
            value = convert(tree[name], field.type, (*path, name), problems)
            if len(problems) == found:
                values[field.name] = value
        elif field.required:
            problems.add(path, f"{name} is missing", f"add `{name}: …`, {expected(field.type)}")
    return values


def is_object(tree: Json, path: Path, problems: Problems) -> bool:
    """Whether it is an object; a problem if not."""
    if isinstance(tree, Mapping):
        return True
    problems.add(path, f"expected an object, got {shown(tree)}", "write `name: value` lines, indented")
    return False


def check_known(
    tree: Mapping[str, Json], known: Collection[str], path: Path, problems: Problems, *, where: str
) -> None:
    """A problem for every key that is not known: to come in a later version, or a typing mistake."""
    for name in tree:
        if name in known:
            continue
        if name in NOT_IMPLEMENTED.get(where, ()):
            problems.add((*path, name), f"the {where} {name} is not implemented by this version", "remove it")
        else:
            problems.add((*path, name), f"there is no {where} {name[:64]}", problems.suggest(name, known))


def convert(value: Json, type: Any, path: Path, problems: Problems) -> Any:
    """The value as its field's type; a problem, and None, where it does not fit."""
    info = inspect.type_info(type)
    quantity = None if value is None else _quantity(info)
    if quantity is not None:
        try:
            return quantity(value)
        except ValueError as error:
            problems.add(path, f"{error}, got {shown(value)}")
            return None
    bare = _bare(info)
    members = bare.types if isinstance(bare, inspect.UnionType) else (bare,)
    for member in members:
        member = _bare(member)
        if isinstance(value, Mapping) and isinstance(member, inspect.StructType):
            return read_struct(member.cls, value, path, problems)
        if isinstance(value, Mapping) and isinstance(member, inspect.DictType):
            inner = _bare(member.value_type)
            if isinstance(inner, inspect.StructType):
                return {key: read_struct(inner.cls, item, (*path, key), problems) for key, item in value.items()}
    try:
        return msgspec.convert(value, type)
    except msgspec.ValidationError as error:
        _explain(str(error), value, info, path, problems)
        return None


def expected(type: Any) -> str:
    """What a field takes, in words: `a whole number >= 0`, `one of all, any`."""
    return _words(type if isinstance(type, inspect.Type) else inspect.type_info(type))


def _explain(said: str, value: Json, info: inspect.Type, path: Path, problems: Problems) -> None:
    """msgspec's message as ours: at its own path, with the value that is there."""
    match = _AT.fullmatch(said)
    message, at = (match[1], match[3]) if match else (said, None)
    steps = _steps(at or "", value)
    actual = value
    for step in steps:
        actual = actual[step]
    path = (*path, *steps)
    if not steps and not message.startswith("Object") and message[:8] in ("Expected", "Invalid "):
        problems.add(path, f"expected {_words(info)}, got {shown(actual)}")
    elif message.startswith("Expected"):
        wanted = message.partition(", got")[0].replace("Expected ", "")
        wanted = re.sub(r"`(\w+)`", lambda word: _KINDS.get(word[1], word[1]), wanted).replace(" | ", " or ")
        problems.add(path, f"expected {wanted}, got {shown(actual)}")
    else:
        problems.add(path, message[:1].lower() + message[1:])


def _steps(at: str, value: Json) -> tuple[str | int, ...]:
    """msgspec names a key of a dictionary `[...]`: the path ends there."""
    steps: list[str | int] = []
    for name, index in _STEP.findall(at):
        step: str | int = name or (int(index) if index.isdigit() else "")
        try:
            value = value[step]
        except (LookupError, TypeError):
            break
        steps.append(step)
    return tuple(steps)


def _words(info: inspect.Type) -> str:
    if _quantity(info) is parse_duration:
        return "a duration such as 30s"
    if _quantity(info) is parse_size:
        return "a size such as 64KiB"
    info = _bare(info)
    if isinstance(info, inspect.UnionType):
        kinds = [_words(member) for member in info.types if not isinstance(member, inspect.NoneType)]
        return " or ".join(dict.fromkeys(kinds))
    if isinstance(info, inspect.EnumType):
        return f"one of {', '.join(str(member.value) for member in info.cls)}"
    if isinstance(info, inspect.LiteralType):
        return f"one of {', '.join(map(str, info.values))}"
    for kinds, words in _WORDS:
        if isinstance(info, kinds):
            return (
                words
                + "".join(
                    f" {sign} {bound}" for name, sign in _BOUNDS if (bound := getattr(info, name, None)) is not None
                )
                + (f" of at most {info.max_length}" if getattr(info, "max_length", None) is not None else "")
                + (f" that matches {info.pattern}" if isinstance(info, inspect.StrType) and info.pattern else "")
            )
    return "any value"


_WORDS: tuple[tuple[Any, str], ...] = (
    (inspect.IntType, "a whole number"),
    (inspect.FloatType, "a number"),
    (inspect.StrType, "text"),
    (inspect.BoolType, "true or false"),
    ((inspect.ListType, inspect.VarTupleType, inspect.TupleType, inspect.SetType), "a list"),
    ((inspect.DictType, inspect.StructType), "an object"),
)


def _quantity(info: inspect.Type) -> Callable[[Json], float | int] | None:
    """What reads a field that is written with a unit; None for any other."""
    if isinstance(info, inspect.Metadata):
        return _QUANTITIES.get((info.extra or {}).get("kind", "")) or _quantity(info.type)
    members = info.types if isinstance(info, inspect.UnionType) else ()
    return next((found for member in members if (found := _quantity(member)) is not None), None)


_QUANTITIES: Mapping[str, Callable[[Json], float | int]] = {"duration": parse_duration, "size": parse_size}


def _bare(info: inspect.Type) -> inspect.Type:
    while isinstance(info, inspect.Metadata):
        info = info.type
    return info

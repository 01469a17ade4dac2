"""Parameters: what a workflow declares, and the values that they are bound to.

Values come from `-p limit=4` at deploy, or from the command line or a service for one run; a message's body is always
`trigger.data`.
"""

from collections.abc import Mapping

import msgspec

from engine.contract import Misfit
from engine.definition.fields import is_object, read_struct
from engine.definition.model import UNDEFINED, Param
from engine.definition.names import check_name
from engine.definition.problems import InvalidWorkflow, Path, Problems, shown, suggestion
from engine.expressions import ExpressionError, Scope, compile_expression
from engine.values import InvalidValue, Json, check_value, decode_json, kind_of

__all__ = ["bind_params", "check_declared", "parse_param", "read_params"]

_KINDS = {
    "string": ("string",),
    "number": ("number",),
    "integer": ("number",),
    "boolean": ("boolean",),
    "list": ("list",),
    "object": ("object",),
}
_WORDS = {
    "string": "text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "list": "a list",
    "object": "an object",
}

# The language's own filter: linear in the text, whatever the pattern.
_MATCH = compile_expression("text|regex_match(pattern)")


def parse_param(text: str) -> tuple[str, str]:
    """Name and value of `limit=4`; `bind_params` gives the value its kind. Raises ValueError."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise ValueError(f"expected name=value, got {shown(text)}: write it as -p limit=4")
    return name.strip(), value


def bind_params(
    params: Mapping[str, Param], given: Mapping[str, Json], *, file: str = "params", complete: bool = True
) -> dict[str, Json]:
    """The value of every parameter, in the order of declaration: the one given, else its default, else null.

    Text given for a parameter of another type is read as that type (`"4"` for a number). For one run's overrides give
    `{**workflow.bound, **overrides}`. Without `complete` a required parameter may be absent: it is left out. Raises
    InvalidWorkflow with every problem of every value.
    """
    problems = Problems(file)
    for name in given:
        if name not in params:
            problems.add(("params", name), f"there is no parameter {name[:64]}", suggestion(name, params))
    bound: dict[str, Json] = {}
    for name, param in params.items():
        path: Path = ("params", name)
        if name in given:
            value = _converted(param, given[name])
            if value is not None or param.required or param.default is not UNDEFINED:
                _check(param, value, path, problems)
            bound[name] = value
        elif param.default is not UNDEFINED:
            bound[name] = param.default
        elif not param.required:
            bound[name] = None
        elif complete:
            problems.add(path, "a value is required", f"give it with -p {name}=…, {_wanted(param)}")
    problems.raise_any()
    return bound


def read_params(tree: Json, problems: Problems, at: Path = ("params",)) -> dict[str, Param]:
    """The declared parameters of a file; what is wrong with them becomes problems."""
    if not is_object(tree, at, problems):
        return {}
    params: dict[str, Param] = {}
    for name, written in tree.items():
        path: Path = (*at, name)
        check_name(name, path, problems, kind="parameter")
        if written is not None and not isinstance(written, Mapping):
            problems.add(
                path, f"expected an object, got {shown(written)}", f"write {{type: …, default: {shown(written)}}}"
            )
            continue
        param = read_struct(Param, written or {}, path, problems)
        if param is not None:
            _check_rules(param, path, problems)
            params[name] = param
    return params


def check_declared(tree: Mapping[str, Json]) -> list[Misfit]:
    """What is wrong with values that are declared like parameters, such as the fields of a form."""
    problems = Problems("")
    read_params(tree, problems)
    try:
        problems.raise_any()
    except InvalidWorkflow as error:
        return [(tuple(problem.path.split(".")[1:]), problem.message, problem.hint) for problem in error.problems]
    return []


def _check_rules(param: Param, path: Path, problems: Problems) -> None:
    for rule, fits in (
        ("min", ("number", "integer")),
        ("max", ("number", "integer")),
        ("min_length", ("string", "list", "object")),
        ("max_length", ("string", "list", "object")),
        ("pattern", ("string",)),
    ):
        if getattr(param, rule) is not None and param.type not in fits:
            problems.add((*path, rule), f"{rule} does not apply to a parameter of type {param.type}", "remove it")
    for low, high in (("min", "max"), ("min_length", "max_length")):
        least, most = getattr(param, low), getattr(param, high)
        if least is not None and most is not None and least > most:
            problems.add((*path, low), f"{low} {least:g} is more than {high} {most:g}", "exchange them")
    if param.pattern is not None:
        try:
            _matches("", param.pattern)
        except ExpressionError as error:
            problems.add((*path, "pattern"), error.message, error.hint)
            param = msgspec.structs.replace(param, pattern=None)
    for place, value in enumerate(param.one_of or ()):
        _check(msgspec.structs.replace(param, one_of=None), value, (*path, "one_of", place), problems)
    if param.default is not UNDEFINED:
        if param.required:
            problems.add((*path, "required"), "a parameter with a default is never required", "remove one of them")
        if param.default is not None:
            _check(param, param.default, (*path, "default"), problems)


def _check(param: Param, value: Json, path: Path, problems: Problems) -> None:
    """A problem for each rule that the value breaks."""
    try:
        check_value(value)
    except InvalidValue as error:
        problems.add(path, str(error))
        return
    integral = param.type != "integer" or isinstance(value, int)
    if param.type != "any" and (kind_of(value) not in _KINDS[param.type] or not integral):
        problems.add(path, f"expected {_WORDS[param.type]}, got {shown(value)}")
        return
    if param.min is not None and value < param.min:
        problems.add(path, f"{shown(value)} is less than min {param.min:g}")
    if param.max is not None and value > param.max:
        problems.add(path, f"{shown(value)} is more than max {param.max:g}")
    if param.min_length is not None and len(value) < param.min_length:
        problems.add(path, f"{shown(value)} has length {len(value)}, less than min_length {param.min_length}")
    if param.max_length is not None and len(value) > param.max_length:
        problems.add(path, f"{shown(value)} has length {len(value)}, more than max_length {param.max_length}")
    if param.pattern is not None and not _matches(value, param.pattern):
        problems.add(path, f"{shown(value)} does not match the pattern {param.pattern}")
    if param.one_of is not None and not any(_same(value, choice) for choice in param.one_of):
        problems.add(path, f"expected one of {', '.join(map(shown, param.one_of))}, got {shown(value)}")


def _matches(text: str, pattern: str) -> bool:
    """Whether all of a text fits a pattern, as `|regex_match` sees it. Raises ExpressionError."""
    return bool(_MATCH.evaluate(Scope({"text": text, "pattern": pattern}, now=0, seed="")))


def _same(value: Json, other: Json) -> bool:
    """Equal, and not only to Python: 1 is not true."""
    return kind_of(value) == kind_of(other) and bool(value == other)


def _converted(param: Param, value: Json) -> Json:
    """Text as the parameter's type, where it can only mean that."""
    if not isinstance(value, str) or param.type in ("string", "any"):
        return value
    try:
        read = decode_json(value.strip().encode())
    except (InvalidValue, UnicodeEncodeError):
        return value
    return value if isinstance(read, str) else read


def _wanted(param: Param) -> str:
    return _WORDS.get(param.type, "any value")

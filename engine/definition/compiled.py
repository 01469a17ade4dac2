"""The texts and expressions of a field, compiled; what does not compile is a problem."""

from collections.abc import Mapping

from engine.definition.problems import Path, Problems, shown
from engine.expressions import ExpressionError, Program, compile_expression, compile_text
from engine.values import Json

__all__ = ["compiled_expression", "compiled_texts", "explain"]


def compiled_expression(source: str, path: Path, problems: Problems) -> Program | None:
    """An expression without braces."""
    if source.strip().startswith("{{"):
        problems.add(path, "this field is an expression already", "remove the braces {{ }}")
        return None
    return _compiled(source, path, problems, expression=True)


def compiled_texts(value: Json, path: Path, problems: Problems) -> list[tuple[Path, Program]]:
    """The texts with code in a tree, each with its place."""
    programs: list[tuple[Path, Program]] = []
    if isinstance(value, str):
        if "{{" in value or "{%" in value or "{#" in value:
            program = _compiled(value, path, problems, expression=False)
            if program is not None:
                programs.append((path, program))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if "{{" in key or "{%" in key:
                problems.add((*path, key), "keys are never evaluated", "build the object in an expression")
            programs.extend(compiled_texts(item, (*path, key), problems))
    elif isinstance(value, list):
        for place, item in enumerate(value):
            programs.extend(compiled_texts(item, (*path, place), problems))
    return programs


def explain(error: ExpressionError, path: Path, problems: Problems) -> None:
    """A problem that tells message, place and remedy of an expression that can't be compiled or evaluated."""
    source = error.source if len(error.source) <= 60 else "the text"
    where = f" (character {error.offset + 1} of {shown(source) if source is error.source else source})"
    problems.add(path, error.message + where, error.hint)


def _compiled(source: str, path: Path, problems: Problems, *, expression: bool) -> Program | None:
    try:
        return compile_expression(source) if expression else compile_text(source)
    except ExpressionError as error:
        explain(error, path, problems)
        return None

"""Fields that are read at deploy: evaluated once, with the parameters' values and nothing else."""

from collections.abc import Collection, Mapping

import msgspec

from engine.definition.compiled import compiled_expression, compiled_texts, explain
from engine.definition.model import UNDEFINED
from engine.definition.problems import Path, Problems, suggestion
from engine.expressions import ExpressionError, Program, Reference, Scope
from engine.values import Json

__all__ = ["Statics"]

_MOMENTS = ((0, "a"), (1_000_000_000_000_000, "b"))
"""Evaluated at two moments, what is read at deploy must give the same: it would freeze `now()` and `random()`."""


class Statics:
    """Evaluates such fields of one file."""

    def __init__(self, *, params: Collection[str], bound: Mapping[str, Json], problems: Problems) -> None:
        self._params = params
        self._bound = bound
        self._problems = problems
        self.used: set[str] = set()
        """Parameters that something refers to."""

    def read(self, value: Json, path: Path) -> Json | msgspec.UnsetType:
        """The value of a field. UNDEFINED where something is wrong, or where it needs a parameter that has no value
        yet."""
        found = len(self._problems)
        programs = dict(compiled_texts(value, path, self._problems))
        missing = False
        for place, program in programs.items():
            for reference in program.references:
                if reference.root == "params":
                    self.check_param(reference, place)
                    missing = missing or bool(reference.path and reference.path[0] not in self._bound)
                else:
                    message = f"{reference.root[:64]} is not known when this is read"
                    self._problems.add(place, message, "at deploy only params are: {{ params.x }}")
        if len(self._problems) > found or missing:
            return UNDEFINED
        return self._evaluated(value, path, programs)

    def check_early(self, source: str, path: Path, *, known: Mapping[str, Collection[str]], when: str) -> None:
        """Check an expression that is asked before there is an execution: it sees `params` and what is known then,
        names with their fields."""
        program = compiled_expression(source, path, self._problems)
        for reference in () if program is None else program.references:
            root, name = reference.root, reference.path[0] if reference.path else None
            if root == "params":
                self.check_param(reference, path)
            elif root not in known:
                self._problems.add(path, f"{root[:64]} is not known {when}", f"{', '.join(known)} and params are")
            elif name is not None and name not in known[root]:
                self._problems.add(path, f"there is no {root}.{str(name)[:64]}", suggestion(str(name), known[root]))

    def check_param(self, reference: Reference, path: Path) -> None:
        """A problem unless a reference to `params` leads to one; it is used then."""
        name = reference.path[0] if reference.path else None
        if name is None:
            self.used.update(self._params)
        elif name in self._params:
            self.used.add(str(name))
        else:
            otherwise = "" if self._params else "declare it under params:"
            hint = self._problems.suggest(str(name), self._params, otherwise=otherwise)
            self._problems.add(path, f"there is no parameter {str(name)[:64]}", hint)

    def _evaluated(self, value: Json, path: Path, programs: Mapping[Path, Program]) -> Json | msgspec.UnsetType:
        if isinstance(value, dict):
            items = {key: self._evaluated(item, (*path, key), programs) for key, item in value.items()}
            return UNDEFINED if UNDEFINED in items.values() else items
        if isinstance(value, list):
            values = [self._evaluated(item, (*path, place), programs) for place, item in enumerate(value)]
            return UNDEFINED if UNDEFINED in values else values
        if path not in programs:
            return value
        try:
            first, second = (
                programs[path].evaluate(Scope({"params": self._bound}, now=now, seed=seed)) for now, seed in _MOMENTS
            )
        except ExpressionError as error:
            explain(error, path, self._problems)
            return UNDEFINED
        if first != second:
            self._problems.add(path, "this is read once, at deploy, and would never change again", "use params only")
            return UNDEFINED
        return first

"""The expressions of a file while it is read: do they compile, and does everything they refer to exist?

Fields read at deploy are evaluated here, with the parameters' values and nothing else.
"""

from collections.abc import Collection, Mapping

import msgspec

from engine.contract import Role
from engine.definition.form import NOT_IMPLEMENTED
from engine.definition.model import UNDEFINED
from engine.definition.problems import Path, Problems, shown, suggestion
from engine.expressions import ExpressionError, Program, Reference, Scope, compile_expression, compile_text
from engine.values import Json

__all__ = ["Formulas", "Found"]

_FIELDS: dict[str, tuple[str, ...]] = {
    "trigger": ("data", "subject", "headers", "time", "id"),
    "execution": ("id", "attempt"),
    "agent": ("id", "labels"),
}
_ROOTS = (*_FIELDS, "params", "nodes", "errors", "secrets")
_MOMENTS = ((0, "a"), (1_000_000_000_000_000, "b"))
"""Evaluated at two moments, what is read at deploy must give the same: it would freeze `now()` and `random()`."""


class Found(msgspec.Struct, frozen=True):
    """What a field holds."""

    constant: bool
    """Nothing in it is evaluated."""
    nodes: tuple[str, ...] = ()
    """The nodes that it refers to, in order of first mention."""


class Formulas:
    """Compiles and checks expressions against the names of one file."""

    def __init__(
        self, *, nodes: Collection[str], params: Collection[str], bound: Mapping[str, Json], problems: Problems
    ) -> None:
        self._nodes = nodes
        self._params = params
        self._bound = bound
        self._problems = problems
        self.used_params: set[str] = set()

    def read(self, value: Json, path: Path, *, role: Role = Role.TEMPLATE, within: str | None = None) -> Found:
        """Check a field that is evaluated per attempt; `within` is the node whose field it is."""
        constant = True
        nodes: dict[str, None] = {}
        if role is Role.EXPRESSION and isinstance(value, str):
            program = self._compile(value, path, expression=True)
            programs = [] if program is None else [(path, program)]
            constant = False
        else:
            programs = list(self._texts(value, path))
        for place, program in programs:
            constant = False
            for reference in program.references:
                node = self._check(reference, place, secrets=role is Role.SECRET, within=within)
                if node is not None:
                    nodes.setdefault(node)
        return Found(constant, tuple(nodes))

    def static(self, value: Json, path: Path) -> Json | msgspec.UnsetType:
        """The value of a field that is read at deploy: it may use `params` only. UNDEFINED where something is wrong, or
        where it needs a parameter that has no value yet."""
        found = len(self._problems)
        programs = dict(self._texts(value, path))
        missing = False
        for place, program in programs.items():
            for reference in program.references:
                if reference.root in _ROOTS and reference.root != "params":
                    self._problems.add(
                        place,
                        f"{reference.root} is not known when this is read",
                        "at deploy only params are: {{ params.x }}",
                    )
                elif self._check(reference, place, secrets=False, within=None) is None and reference.path:
                    missing = missing or reference.path[0] not in self._bound
        if len(self._problems) > found or missing:
            return UNDEFINED
        return self._evaluated(value, path, programs)

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
            self._problems.add(path, *_told(error))
            return UNDEFINED
        if first != second:
            self._problems.add(path, "this is read once, at deploy, and would never change again", "use params only")
            return UNDEFINED
        return first

    def _texts(self, value: Json, path: Path) -> list[tuple[Path, Program]]:
        """The texts with code in a tree, each with its place."""
        programs: list[tuple[Path, Program]] = []
        if isinstance(value, str):
            if "{{" in value or "{%" in value or "{#" in value:
                program = self._compile(value, path, expression=False)
                if program is not None:
                    programs.append((path, program))
        elif isinstance(value, Mapping):
            for key, item in value.items():
                if "{{" in key or "{%" in key:
                    self._problems.add((*path, key), "keys are never evaluated", "build the object in an expression")
                programs.extend(self._texts(item, (*path, key)))
        elif isinstance(value, list):
            for place, item in enumerate(value):
                programs.extend(self._texts(item, (*path, place)))
        return programs

    def _compile(self, source: str, path: Path, *, expression: bool) -> Program | None:
        if expression and source.strip().startswith("{{"):
            self._problems.add(path, "this field is an expression already", "remove the braces {{ }}")
            return None
        try:
            return compile_expression(source) if expression else compile_text(source)
        except ExpressionError as error:
            self._problems.add(path, *_told(error))
            return None

    def _check(self, reference: Reference, path: Path, *, secrets: bool, within: str | None) -> str | None:
        """A problem where a reference leads nowhere; the node that it refers to, if it does."""
        root, name = reference.root, reference.path[0] if reference.path else None
        if root in ("nodes", "errors"):
            return self._check_node(root, name, path, within)
        if root == "params":
            self._check_param(name, path)
        elif root == "secrets":
            if not secrets:
                self._problems.add(path, "a secret must not go here", "only fields made for secrets take secrets.NAME")
        elif root in NOT_IMPLEMENTED["name in scope"]:
            self._problems.add(path, f"{root} is not implemented by this version", "use nodes, params or trigger")
        elif root in _FIELDS:
            if name is not None and name not in _FIELDS[root]:
                self._problems.add(path, f"there is no {root}.{name}", suggestion(str(name), _FIELDS[root]))
        else:
            self._problems.add(path, f"there is no {root[:64]} in scope", self._root_hint(root))
        return None

    def _check_node(self, root: str, name: str | int | None, path: Path, within: str | None) -> str | None:
        if not isinstance(name, str):
            self._problems.add(path, f"{root} needs the name of a node", f"write {root}.<node>")
        elif name not in self._nodes:
            self._problems.add(path, f"there is no node {name[:64]}", suggestion(name, self._nodes))
        elif name == within:
            self._problems.add(path, f"{name} refers to itself", "a node sees what other nodes gave")
        else:
            return name
        return None

    def _check_param(self, name: str | int | None, path: Path) -> None:
        if name is None:
            self.used_params.update(self._params)
        elif name in self._params:
            self.used_params.add(str(name))
        else:
            hint = suggestion(str(name), self._params, otherwise="" if self._params else "declare it under params:")
            self._problems.add(path, f"there is no parameter {str(name)[:64]}", hint)

    def _root_hint(self, root: str) -> str:
        for home, names in (("nodes", self._nodes), ("params", self._params)):
            if root in names:
                return f"did you mean {home}.{root}?"
        for home, fields in _FIELDS.items():
            if root in fields:
                return f"did you mean {home}.{root}?"
        return suggestion(root, _ROOTS)


def _told(error: ExpressionError) -> tuple[str, str]:
    """Message and hint of an expression that does not compile, with its place."""
    source = error.source if len(error.source) <= 60 else "the text"
    where = f" (character {error.offset + 1} of {shown(source) if source is error.source else source})"
    return error.message + where, error.hint

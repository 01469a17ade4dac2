"""Fields that are evaluated per attempt: do they compile, and what do they refer to?"""

import msgspec

from engine.contract import Role
from engine.definition.compiled import compiled_expression, compiled_texts
from engine.definition.problems import Path, Problems
from engine.definition.references import References
from engine.definition.survey import Site, View
from engine.values import Json

__all__ = ["Formulas", "Found"]


class Found(msgspec.Struct, frozen=True):
    """What a field holds."""

    constant: bool
    """Nothing in it is evaluated."""
    fixed: bool = False
    """All that is evaluated in it gives the same wherever it is."""
    sites: tuple[Site, ...] = ()
    """The nodes that it refers to, in order of first mention."""


class Formulas:
    """Compiles and checks such fields of one file."""

    def __init__(self, *, references: References, problems: Problems) -> None:
        self._references = references
        self._problems = problems

    def read(
        self, value: Json, path: Path, view: View, *, role: Role = Role.TEMPLATE, within: str | None = None
    ) -> Found:
        """Check a field; `within` is the node whose field it is."""
        if role is Role.EXPRESSION and isinstance(value, str):
            program = compiled_expression(value, path, self._problems)
            programs = [] if program is None else [(path, program)]
            constant = False
        else:
            programs = compiled_texts(value, path, self._problems)
            constant = not programs
        sites: dict[Site, None] = {}
        for place, program in programs:
            for reference in program.references:
                secrets = role is Role.SECRET
                site = self._references.check(reference, place, view, secrets=secrets, within=within)
                if site is not None:
                    sites.setdefault(site)
        return Found(constant, bool(programs) and all(program.constant for _, program in programs), tuple(sites))

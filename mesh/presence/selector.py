"""Which agents are meant: `site=berlin,role!=test`, `agent=pi-7a3f`, `*`."""

import re

import msgspec

from mesh.presence.beat import Beat

ALL = "*"
AGENT = "agent"
"""The name that stands for the agent's id, whatever a label of that name says."""
_TERM = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9_.\-/]*)\s*(!=|==?)\s*([^,=!]*?)\s*")


class InvalidSelector(ValueError):
    """A selector that can't be read; the message says how one looks."""


class Term(msgspec.Struct, frozen=True):
    """One condition: the label has that value, or has not."""

    name: str
    value: str
    is_negated: bool = False

    def matches(self, beat: Beat) -> bool:
        found = beat.agent if self.name == AGENT else beat.labels.get(self.name)
        return (found == self.value) is not self.is_negated

    def __str__(self) -> str:
        return f"{self.name}{'!=' if self.is_negated else '='}{self.value}"


class Selector(msgspec.Struct, frozen=True):
    """Conditions that all hold; none means every agent."""

    terms: tuple[Term, ...] = ()

    @classmethod
    def parse(cls, text: str) -> "Selector":
        """Conditions with commas between; `*` is everybody. An agent without the label matches `!=` only.

        Raises InvalidSelector.
        """
        if text.strip() == ALL:
            return cls()
        terms = []
        for part in text.split(","):
            found = _TERM.fullmatch(part)
            if found is None:
                raise InvalidSelector(
                    f'"{part.strip() or text}" selects no agents: expected label=value or label!=value, several with '
                    "commas, such as site=berlin,role!=test; agent=ID for one agent, * for all"
                )
            name, relation, value = found.groups()
            terms.append(Term(name, value, relation == "!="))
        return cls(tuple(terms))

    def matches(self, beat: Beat) -> bool:
        """Whether this agent is meant."""
        return all(term.matches(beat) for term in self.terms)

    def __str__(self) -> str:
        return ",".join(map(str, self.terms)) or ALL

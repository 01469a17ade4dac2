"""What a program reads: the exact references that become the edges of a workflow."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Reference:
    """One path that a source reads, from its root name as far as it is known before evaluation.

    root     `nodes`, `trigger`, `params`, `secrets` …; never a loop's variable
    path     the keys behind it: ("triage", "level"); ends where an index is computed
    guarded  the source says what happens where it is undefined: `|default`, `is defined`
    offset   of the root's first character in `source`, the text that holds it
    """

    root: str
    path: tuple[str | int, ...]
    guarded: bool = False
    offset: int = field(default=0, compare=False)
    source: str = field(default="", compare=False, repr=False)


def deduplicate(references: list[Reference]) -> tuple[Reference, ...]:
    """Each path once, in order of appearance; one that is read unguarded anywhere is unguarded."""
    found: dict[tuple[str, tuple[tuple[type, str | int], ...]], Reference] = {}
    for reference in references:
        # 1 and True are one key to a dict, and a path may hold "1" and 1.
        key = (reference.root, tuple((type(part), part) for part in reference.path))
        known = found.get(key)
        if known is None or (known.guarded and not reference.guarded):
            found[key] = reference
    return tuple(found.values())

"""Secrets stand as markers until the moment of use.

An expression such as `{{ secrets.PAGER_URL }}` evaluates to a `SecretText`: a string whose own value is a mask, so that
whatever stores, logs or publishes it shows `[secret PAGER_URL]`. Only the node context reveals it, in memory, when a
node uses it.
"""

from typing import Protocol, Self

__all__ = ["SecretName", "SecretSource", "SecretText", "UnknownSecret"]


class SecretName(str):
    """The name of a secret inside a SecretText, as opposed to literal text."""

    __slots__ = ()


class SecretText(str):
    """Text that holds one or more secrets; as a plain string it is its masked form."""

    __slots__ = ("parts",)
    parts: tuple[str, ...]

    def __new__(cls, *parts: str) -> Self:
        flat: list[str] = []
        for part in parts:
            flat.extend(part.parts if isinstance(part, SecretText) else (part,))
        masked = "".join(f"[secret {part}]" if isinstance(part, SecretName) else part for part in flat)
        text = super().__new__(cls, masked)
        text.parts = tuple(flat)
        return text


class UnknownSecret(LookupError):
    """No source holds a secret of this name."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"no secret named {name}: put it into <data_dir>/secrets/{name} (mode 0600) or set GANGLION_SECRET_{name}"
        )
        self.name = name


class SecretSource(Protocol):
    """Where secrets come from; the agent implements it."""

    def reveal(self, name: str) -> str:
        """The secret's value. Raises UnknownSecret."""
        ...


def reveal(text: str, source: SecretSource) -> str:
    """The real text behind a marker; any other string comes back as it is."""
    if not isinstance(text, SecretText):
        return text
    return "".join(source.reveal(part) if isinstance(part, SecretName) else part for part in text.parts)

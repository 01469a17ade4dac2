"""Which template is meant: a built-in one by name, or a file."""

from difflib import get_close_matches
from pathlib import Path

from engine.definition.template import Template, read_template

__all__ = ["UnknownTemplate", "builtin_names", "find_template", "read_builtin"]

_HERE = Path(__file__).parent


class UnknownTemplate(ValueError):
    """There is none of this name; the text says what there is."""


def builtin_names() -> list[str]:
    """The templates that come with the program."""
    return sorted(path.stem for path in _HERE.glob("*.yaml"))


def read_builtin(name: str) -> Template:
    """One of them."""
    path = _HERE / f"{name}.yaml"
    return read_template(path.read_bytes(), path.name)


def find_template(name: str) -> Template:
    """A built-in template, or, if the name looks like a path or one is there, a file. Raises UnknownTemplate,
    InvalidWorkflow, OSError."""
    if name in builtin_names():
        return read_builtin(name)
    path = Path(name)
    if "/" in name or path.suffix or path.exists():
        return read_template(path.read_bytes(), name)
    near = get_close_matches(name, builtin_names(), n=1)
    hint = f"did you mean {near[0]}?" if near else "`ganglion new --list` lists them; a file is named by its path"
    raise UnknownTemplate(f"there is no template {name}; {hint}")

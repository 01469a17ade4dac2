"""The licences of everything that Ganglion is made of.

The executable has a folder with an index (packaging/licences.py); a checkout or a Python package asks the metadata of
what is installed beside it.
"""

import re
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import msgspec

FOLDER, INDEX = "licences", "index.json"
PROJECT = "ganglion"
OPTIONAL = ("llm", "wasm")
"""Extras that a person runs; the others are for development."""
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_EXTRA = re.compile(r"extra\s*==\s*['\"]([^'\"]+)['\"]")
_TEXT = re.compile(r"(^|/)(licen[cs]e|copying|notice|authors)[^/]*$|\.dist-info/licen[cs]es/", re.IGNORECASE)


class Inside(msgspec.Struct, frozen=True):
    """What is linked into a part."""

    part: str
    licence: str


class Part(msgspec.Struct, frozen=True):
    """Something with a licence of its own."""

    part: str
    version: str
    licence: str
    """As its makers name it."""
    inside: tuple[Inside, ...] = ()
    texts: tuple[str, ...] = ()
    """Names of files."""


def packed() -> Path | None:
    """The folder of the executable."""
    folder = Path(__file__).parents[1] / FOLDER
    return folder if (folder / INDEX).is_file() else None


def parts() -> list[Part]:
    """All, by name."""
    folder = packed()
    if folder is not None:
        return msgspec.json.decode((folder / INDEX).read_bytes(), type=list[Part])
    return [_part(one) for _, one in sorted(_needed().items())]


def texts(part: Part) -> dict[str, str]:
    """Its licences by the names of their files."""
    folder = packed()
    if folder is not None:
        paths = {name: folder / part.part / name for name in part.texts}
    else:
        paths = {path.name: path for path in text_files(distribution(part.part))}
    return {name: path.read_text(errors="replace") for name, path in paths.items()}


def _needed() -> dict[str, Distribution]:
    """The installed distributions that Ganglion leads to, by name in lower case."""
    found: dict[str, Distribution] = {}
    todo = [PROJECT]
    while todo:
        name = todo.pop()
        try:
            one = distribution(name)
        except PackageNotFoundError:  # of another platform, or of an extra that is not installed
            continue
        if one.name.lower() in found:
            continue
        found[one.name.lower()] = one
        for requirement in one.requires or ():
            extra = _EXTRA.search(requirement)
            named = _NAME.match(requirement)
            if named and (extra is None or (name == PROJECT and extra[1] in OPTIONAL)):
                todo.append(named[0])
    return found


def _part(one: Distribution) -> Part:
    return Part(one.name, one.version, said_licence(one), texts=tuple(path.name for path in text_files(one)))


def said_licence(one: Distribution) -> str:
    """As a distribution says it: an SPDX expression, a name, or its classifiers."""
    about = one.metadata
    expressions, names, classes = (about.get_all(key) or [] for key in ("License-Expression", "License", "Classifier"))
    short = [name for name in names if name.strip() and "\n" not in name]  # some put the whole text there
    classified = [text.rpartition(" :: ")[2] for text in classes if text.startswith("License ::")]
    licence = " / ".join(expressions or short or classified)
    return licence or "see its text"


def text_files(one: Distribution) -> Iterator[Path]:
    """Its licences and notices."""
    for file in one.files or ():
        path = Path(str(file.locate()))
        if _TEXT.search(str(file)) and path.suffix not in {".py", ".pyc"} and path.is_file():
            yield path

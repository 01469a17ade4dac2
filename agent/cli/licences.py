"""`licences`: what Ganglion is made of, and under which licences."""

import difflib
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.failure import Exit, Failure
from agent.cli.options import AsJson
from agent.cli.screen import say, table, write_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.licences import Part

RULE = "-" * 78


def licences(
    part: Annotated[
        str | None, typer.Argument(help="Print the licence of this part; all: of every part.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what Ganglion is made of and under which licences, or print the text of one."""
    from agent.licences import parts, texts

    known = parts()
    if part is None:
        if as_json:
            write_json({"parts": known})
        else:
            table(("PART", "VERSION", "LICENCE"), (row for one in known for row in _rows(one)), last_wraps=True)
        return
    chosen = known if part == "all" else [_named(part, known)]
    if as_json:
        write_json({"parts": [{"part": one.part, "licence": one.licence, "texts": texts(one)} for one in chosen]})
        return
    for one in chosen:
        for name, text in texts(one).items():
            say(f"{RULE}\n{one.part} {one.version}: {name}\n{RULE}\n{text.rstrip()}\n")


def _rows(part: "Part") -> "Iterator[tuple[str, str, str]]":
    """One for the part, and one for each that is linked into it."""
    yield part.part, part.version, part.licence
    for inside in part.inside:
        name, _, version = inside.part.partition(" ")
        yield f"  {name}", version, inside.licence


def _named(name: str, known: "list[Part]") -> "Part":
    """By its name or by that of something inside it. Raises Failure."""
    names = {inside.part.partition(" ")[0].lower(): part for part in known for inside in part.inside}
    names |= {part.part.lower(): part for part in known}
    if name.lower() in names:
        return names[name.lower()]
    near = difflib.get_close_matches(name.lower(), names, n=1)
    hint = f"did you mean {near[0]}?" if near else "`ganglion licences` lists them"
    raise Failure(f"nothing here is called {name}; {hint}", Exit.USAGE)

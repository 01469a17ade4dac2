"""`nodes`: the reference of node types, made from the types themselves."""

import difflib
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from agent.cli.failure import Failure
from agent.cli.options import AsJson, ConfigFile, settings
from agent.cli.screen import console, say, short, table, write_json

if TYPE_CHECKING:
    from engine.reference import TypeReference


def nodes(
    type: Annotated[str | None, typer.Argument(help="A node type; without it all are listed.")] = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """What nodes can do: all node types, or one with its parameters and an example."""
    from agent.node_types import node_types
    from engine.reference import describe

    types = node_types(allow_shell=settings(config).engine.allow_shell)
    if type is None:
        pages = [describe(found) for name in types.names() if (found := types.get(name)) is not None]
        if as_json:
            write_json(pages)
            return
        table(
            ("TYPE", "EFFECT", "WHAT IT DOES"),
            (
                (page.name, page.effect.value, ("(off) " if types.disabled(page.name) else "") + first_sentence(page))
                for page in pages
            ),
            last_wraps=True,
        )
        say("\nMore about one: ganglion nodes TYPE")
        return
    found = types.get(type)
    if found is None:
        near = difflib.get_close_matches(type, types.names(), n=1)
        hint = f"did you mean {near[0]}?" if near else "`ganglion nodes` lists all"
        raise Failure(f"there is no node type {type}; {hint}")
    if as_json:
        write_json(describe(found))
    else:
        show(describe(found), types.disabled(type))


def show(page: "TypeReference", off: str | None) -> None:
    """The page about one type."""
    from rich.padding import Padding
    from rich.text import Text

    screen = console()
    screen.print(Text(page.name, style="bold"), Text(f"effect: {page.effect.value}", style="dim"))
    if off:
        screen.print(Text(f"\nOff on this agent: {off}", style="yellow"))
    screen.print(Text(f"\n{page.description}"), soft_wrap=False)
    if page.aliases:
        say(f"\nAlso known as {', '.join(page.aliases)}.")
    if page.ports:
        say(f"\nPorts: {', '.join(page.ports)}")
    if page.params:
        say()
        table(
            ("PARAMETER", "KIND", "DEFAULT", "READ AS", "MEANING"),
            (
                (
                    param.name,
                    param.type,
                    "required"
                    if param.required
                    else ""
                    if param.default is msgspec.UNSET
                    else short(param.default, 24),
                    param.role.value,
                    param.description,
                )
                for param in page.params
            ),
            last_wraps=True,
        )
    say("\nExample")
    screen.print(Padding(Text(page.example.rstrip(), style="cyan"), (0, 0, 0, 2)))


def first_sentence(page: "TypeReference") -> str:
    head, dot, _ = page.description.partition(". ")
    return head + (dot.strip() or "")

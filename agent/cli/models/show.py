"""`models show`: all about one model."""

from collections.abc import Iterator
from typing import Annotated

import msgspec
import typer

from agent.cli.complete import models
from agent.cli.models.known import Shelf
from agent.cli.models.page import OfFile, Page, Setting, page_of
from agent.cli.models.progress import parameters, size
from agent.cli.options import AsJson, ConfigFile, DataDir
from agent.cli.screen import say, table, write_json


def show(
    name: Annotated[str, typer.Argument(help="The model.", autocompletion=models)],
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show a model: what its file says of itself, the memory it needs, its settings and where they come from.

    ganglion models show triage-tiny
    """
    shelf = Shelf(config, data_dir)
    page = page_of(shelf, shelf.spec(name))
    if as_json:
        write_json(page)
        return
    table((page.name, ""), _rows(page), last_wraps=True)
    say()
    table(("SETTING", "VALUE", "FROM"), ((one.key, _told(one), one.origin) for one in page.settings))


def _rows(page: Page) -> Iterator[tuple[str, str]]:
    yield "provider", f"{page.provider}, from {page.place}"
    if page.state:
        yield "state", page.state + (f", {size(page.memory_bytes)} in memory" if page.memory_bytes else "")
    if page.problem:
        yield "problem", page.problem
    if page.deaths:
        yield "deaths", f"its native code killed the process {page.deaths} time{'' if page.deaths == 1 else 's'}"
    if page.file:
        yield "file", f"{page.file}{f', {size(page.size_bytes)}' if page.size_bytes else ''}"
        yield "sha256", page.sha256 or "any: set `sha256` to have it compared"
    if page.of_file is not None:
        yield from _of_file(page, page.of_file)


def _of_file(page: Page, of: OfFile) -> Iterator[tuple[str, str]]:
    kind = ", ".join(filter(None, (of.architecture, parameters(of.parameters), of.quantisation)))
    yield "kind", kind + (f", called {of.name} there" if of.name and of.name != page.name else "")
    yield "template", "in the file" if of.has_template else "none in the file: set `chat_format`"
    yield "licence", of.licence or "the file does not say"
    yield "context", f"{page.context:,} tokens{f', made for {of.context:,}' if of.context else ''}"
    yield "memory", f"{size(page.memory_needed_bytes)} for that context"


def _told(one: Setting) -> str:
    """The value as it is written in a configuration."""
    from agent.config.models import Model
    from agent.config.sources import extra

    [kind] = [field.type for field in msgspec.structs.fields(Model) if field.name == one.key]
    show = extra(kind).get("show")
    return str(show(one.value) if show else one.value)

"""`models show`: all about one model."""

from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from agent.cli.complete import models
from agent.cli.models.known import Shelf
from agent.cli.models.live import live_states
from agent.cli.models.progress import parameters, size
from agent.cli.options import AsJson, ConfigFile, DataDir
from agent.cli.screen import say, table, write_json
from engine.values import Json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from plugins.llm.spec import ModelSpec


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """A key of the model, its value, and who says so."""

    key: str
    value: Json
    origin: str
    """configuration, added, or default."""


class OfFile(msgspec.Struct, frozen=True, kw_only=True):
    """What the file says of itself."""

    name: str
    architecture: str
    parameters: int
    quantisation: str
    context: int
    """Tokens that it was made for; 0: it does not say."""
    vocabulary: int
    has_template: bool
    licence: str


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a model."""

    name: str
    provider: str
    source: str
    """configuration or added."""
    place: str
    """The section, or the manifest."""
    file: str = ""
    size_bytes: int = 0
    sha256: str = ""
    """That it must have; empty: any."""
    of_file: OfFile | None = None
    context: int = 0
    """Tokens that it has."""
    memory_needed_bytes: int = 0
    """Of a local one, for that context."""
    state: str = ""
    """As the running agent says; see `list`."""
    memory_bytes: int = 0
    problem: str = ""
    deaths: int = 0
    """How often its native code killed the process; see `verify --release`."""
    settings: tuple[Setting, ...] = ()


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
    page = _page(shelf, shelf.spec(name))
    if as_json:
        write_json(page)
        return
    table((page.name, ""), _rows(page), last_wraps=True)
    say()
    table(("SETTING", "VALUE", "FROM"), ((one.key, _told(one), one.origin) for one in page.settings))


def _page(shelf: Shelf, spec: "ModelSpec") -> Page:
    known, of_file, needed, context, problem = shelf.known(spec.name), None, 0, spec.context, ""
    [live] = [one for one in live_states(shelf) or shelf.states() if one.name == spec.name]
    if spec.file:
        from plugins.llm.errors import ModelError
        from plugins.llm.local.gguf import read_header
        from plugins.llm.local.memory import context_of, memory_of

        try:
            header = read_header(spec.file)
        except ModelError as error:
            problem = str(error)
        else:
            of_file = msgspec.convert(header, OfFile, from_attributes=True)
            needed, context = memory_of(spec, header), context_of(spec, header)
    return Page(
        name=spec.name, provider=known.provider, source=known.source,
        place=shelf.section(spec.name) if shelf.is_configured(spec.name) else str(shelf.folder / f"{spec.name}.json"),
        file=spec.file, size_bytes=known.size_bytes, sha256=spec.sha256, of_file=of_file, context=context,
        memory_needed_bytes=needed, state=live.state, memory_bytes=live.memory_bytes, problem=live.problem or problem,
        deaths=shelf.quarantine().deaths(spec.name) if spec.file else 0, settings=_settings(spec, known.source),
    )  # fmt: skip


def _rows(page: Page) -> "Iterator[tuple[str, str]]":
    yield "provider", f"{page.provider}, from {page.place}"
    yield "state", page.state + (f", {size(page.memory_bytes)} in memory" if page.memory_bytes else "")
    if page.problem:
        yield "problem", page.problem
    if page.deaths:
        yield "deaths", f"its native code killed the process {page.deaths} time{'' if page.deaths == 1 else 's'}"
    if page.file:
        yield "file", f"{page.file}, {size(page.size_bytes)}"
        yield "sha256", page.sha256 or "any: set `sha256` to have it compared"
    if (of := page.of_file) is not None:
        kind = ", ".join(filter(None, (of.architecture, parameters(of.parameters), of.quantisation)))
        yield "kind", kind + (f", called {of.name} there" if of.name and of.name != page.name else "")
        yield "template", "in the file" if of.has_template else "none in the file: set `chat_format`"
        yield "licence", of.licence or "the file does not say"
        made_for = f", made for {of.context:,}" if of.context else ""
        yield "context", f"{page.context:,} tokens{made_for}"
        yield "memory", f"{size(page.memory_needed_bytes)} for that context"


def _settings(spec: "ModelSpec", source: str) -> tuple[Setting, ...]:
    """Those that matter to its provider; the file has a place of its own."""
    from agent.config.models import keys_of

    defaults = {field.name: field.default for field in msgspec.structs.fields(type(spec))}
    return tuple(
        Setting(key=key, value=getattr(spec, key), origin="default" if getattr(spec, key) == defaults[key] else source)
        for key in keys_of(spec.provider)
        if key not in ("file", "sha256")
    )


def _told(one: Setting) -> str:
    """The value as it is written in a configuration."""
    from agent.config.models import Model
    from agent.config.sources import extra

    [kind] = [field.type for field in msgspec.structs.fields(Model) if field.name == one.key]
    show = extra(kind).get("show")
    return str(show(one.value) if show else one.value)

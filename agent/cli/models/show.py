"""`models show`: all about one model."""

from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from agent.cli.complete import models
from agent.cli.models.known import Shelf
from agent.cli.models.progress import size
from agent.cli.options import AsJson, ConfigFile, DataDir
from agent.cli.screen import say, short, table, write_json
from engine.values import Json

if TYPE_CHECKING:
    from plugins.llm.spec import ModelSpec


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """A key of the model, its value, and who says so."""

    key: str
    value: Json
    origin: str
    """configuration, added, or default."""


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
    state: str = ""
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
    rows = [
        ("provider", f"{page.provider}, from {page.place}"),
        *((("file", f"{page.file}, {size(page.size_bytes)}"),) if page.file else ()),
        *((("sha256", page.sha256 or "any: set `sha256` to have it compared"),) if page.file else ()),
        ("state", page.state),
        *((("problem", page.problem),) if page.problem else ()),
        *((("deaths", f"{page.deaths}: its native code killed the process"),) if page.deaths else ()),
    ]
    table((page.name, ""), rows, last_wraps=True)
    say()
    table(("SETTING", "VALUE", "FROM"), ((one.key, short(one.value), one.origin) for one in page.settings))


def _page(shelf: Shelf, spec: "ModelSpec") -> Page:
    known = shelf.known(spec.name)
    [state] = [one for one in shelf.states() if one.name == spec.name]
    return Page(
        name=spec.name, provider=known.provider, source=known.source,
        place=shelf.section(spec.name) if shelf.is_configured(spec.name) else str(shelf.folder / f"{spec.name}.json"),
        file=spec.file, size_bytes=known.size_bytes, sha256=spec.sha256, state=state.state, problem=state.problem,
        settings=_settings(spec, known.source),
    )  # fmt: skip


def _settings(spec: "ModelSpec", source: str) -> tuple[Setting, ...]:
    """Those that matter to its provider; the file has a place of its own."""
    from agent.config.models import keys_of

    defaults = {field.name: field.default for field in msgspec.structs.fields(type(spec))}
    return tuple(
        Setting(key=key, value=getattr(spec, key), origin="default" if getattr(spec, key) == defaults[key] else source)
        for key in keys_of(spec.provider)
        if key not in ("file", "sha256")
    )

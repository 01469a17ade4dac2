"""All that is known of one model: its file, its settings, and how it is in the agent here."""

from typing import TYPE_CHECKING

import msgspec

from agent.cli.models.known import Shelf
from agent.cli.models.live import states_here
from engine.values import Json

if TYPE_CHECKING:
    from plugins.llm.spec import ModelSpec

__all__ = ["OfFile", "Page", "Setting", "page_of"]


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
    file: str
    size_bytes: int
    sha256: str
    """That it must have; empty: any."""
    of_file: OfFile | None
    """None: a remote one, or it can't be read."""
    context: int
    """Tokens that it has; 0: the provider knows."""
    memory_needed_bytes: int
    """Of a local one, for that context."""
    state: str
    """See `list`; empty: the agent that runs here does not know it."""
    memory_bytes: int
    """That it takes now."""
    problem: str
    deaths: int
    """How often its native code killed the process; see `verify --release`."""
    settings: tuple[Setting, ...]


def page_of(shelf: Shelf, spec: "ModelSpec") -> Page:
    """Reads the file's header, and asks the agent that runs here."""
    known = shelf.known(spec.name)
    _, infos = states_here(shelf, shelf.where)
    live = next((one for one in infos if one.name == spec.name), None)
    of_file, context, needed, problem = _of_file(spec)
    return Page(
        name=spec.name,
        provider=known.provider,
        source=known.source,
        place=shelf.section(spec.name) if shelf.is_configured(spec.name) else str(shelf.folder / f"{spec.name}.json"),
        file=spec.file,
        size_bytes=known.size_bytes,
        sha256=spec.sha256,
        of_file=of_file,
        context=context,
        memory_needed_bytes=needed,
        state=live.state if live is not None else "",
        memory_bytes=live.memory_bytes if live is not None else 0,
        problem=(live.problem if live is not None else "the agent that runs here does not know it") or problem,
        deaths=shelf.quarantine().deaths(spec.name) if spec.file else 0,
        settings=_settings(spec, known.source),
    )


def _of_file(spec: "ModelSpec") -> tuple[OfFile | None, int, int, str]:
    """What the file says, the context that it gets, the memory for that, and what is wrong with it."""
    from plugins.llm.errors import ModelError
    from plugins.llm.local.gguf import read_header
    from plugins.llm.local.memory import context_of, memory_of

    if not spec.file:
        return None, 0, 0, ""
    try:
        header = read_header(spec.file)
    except ModelError as error:
        return None, spec.context, 0, str(error)
    of_file = msgspec.convert(header, OfFile, from_attributes=True)
    return of_file, context_of(spec, header), memory_of(spec, header), ""


def _settings(spec: "ModelSpec", source: str) -> tuple[Setting, ...]:
    """Those that matter to its provider; the file has a place of its own."""
    from agent.config.models import keys_of

    defaults = {field.name: field.default for field in msgspec.structs.fields(type(spec))}
    return tuple(
        Setting(key=key, value=getattr(spec, key), origin="default" if getattr(spec, key) == defaults[key] else source)
        for key in keys_of(spec.provider)
        if key not in ("file", "sha256")
    )

"""Which models there are: those of the configuration, and those that were added to the folder."""

import difflib
import re
from collections.abc import Iterable
from pathlib import Path

import msgspec

from engine.clock import Clock
from plugins.llm.errors import ModelError, Trouble
from plugins.llm.spec import ModelSpec, Source

__all__ = ["NAME", "Catalogue", "encode_manifest", "read_manifest"]

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
"""What a model may be called."""
LOOK_SECONDS = 1.0
"""The folder is looked at so often at most; for a name that is not known, at once."""
MAX_BYTES = 64 * 1024
"""Of a manifest."""


class Catalogue:
    """Finds models by name. A manifest is `<folder>/NAME.json`: a ModelSpec without its name, whose `file` may be
    relative to the folder. What the configuration says goes before."""

    def __init__(self, specs: Iterable[ModelSpec], folder: Path | None, clock: Clock) -> None:
        self._own = {spec.name: spec for spec in specs}
        self._folder = folder
        self._clock = clock
        self._looked_at: float | None = None
        self._seen: dict[Path, tuple[int, int]] = {}
        """Manifests, with time of change and size when they were read."""
        self._added: dict[str, ModelSpec | str] = {}
        """Read from the folder; a text says what is wrong with it."""

    def names(self) -> tuple[str, ...]:
        """All, sorted; those with damaged manifests too. For people who have just added one: as it is now."""
        self._look(now=True)
        return tuple(sorted({*self._own, *self._added}))

    def get(self, name: str) -> ModelSpec:
        """Raises ModelError (unknown; damaged: its manifest)."""
        self._look(now=name not in self._own and name not in self._added)
        found = self._own.get(name) or self._added.get(name)
        if isinstance(found, ModelSpec):
            return found
        if found is not None:
            raise ModelError(Trouble.DAMAGED, found)
        raise ModelError(Trouble.UNKNOWN, f"there is no model {name[:64]}; {self._advice(name)}")

    def problem(self, name: str) -> str:
        """What is wrong with its manifest; empty: nothing."""
        self._look(now=name not in self._own and name not in self._added)
        found = None if name in self._own else self._added.get(name)
        return found if isinstance(found, str) else ""

    def _advice(self, name: str) -> str:
        known = self.names()
        if near := difflib.get_close_matches(name, known, n=1):
            return f"did you mean {near[0]}?"
        here = f"known here: {', '.join(known[:20])}" if known else "none is known here"
        return f"{here}; `ganglion models add` adds one, or write [models.{name or 'NAME'}] into the configuration"

    def _look(self, *, now: bool = False) -> None:
        """Read what changed in the folder."""
        if self._folder is None:
            return
        moment = self._clock.monotonic()
        if not now and self._looked_at is not None and moment - self._looked_at < LOOK_SECONDS:
            return
        self._looked_at = moment
        seen = {path: state for path in self._manifests() if (state := _state(path)) is not None}
        for path in self._seen.keys() - seen.keys():
            del self._added[path.stem]
        for path, state in seen.items():
            if self._seen.get(path) != state:
                try:
                    self._added[path.stem] = read_manifest(path)
                except (OSError, ValueError) as error:
                    self._added[path.stem] = (
                        f"model {path.stem}: its manifest {path} can't be read: {error}; mend it, or "
                        f"`ganglion models remove {path.stem}` and add it again"
                    )
        self._seen = seen

    def _manifests(self) -> list[Path]:
        try:
            found = [] if self._folder is None else list(self._folder.glob("*.json"))
        except OSError:
            return []
        return [path for path in found if NAME.fullmatch(path.stem)]


def read_manifest(path: Path) -> ModelSpec:
    """The spec in a manifest, with an absolute `file`. Raises OSError, ValueError."""
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ValueError(f"it is larger than {MAX_BYTES} bytes")
    tree = msgspec.json.decode(data)
    if not isinstance(tree, dict):
        raise ValueError("expected a JSON object")
    spec = msgspec.convert({**tree, "name": path.stem}, ModelSpec)
    if spec.provider is Source.LOCAL and not spec.file:
        raise ValueError("file is missing: the name of its GGUF file")
    return msgspec.structs.replace(spec, file=str(path.parent.absolute() / spec.file)) if spec.file else spec


def encode_manifest(spec: ModelSpec) -> bytes:
    """What stands in `<folder>/NAME.json`."""
    tree = msgspec.to_builtins(spec)
    del tree["name"]
    return msgspec.json.format(msgspec.json.encode(tree), indent=2) + b"\n"


def _state(path: Path) -> tuple[int, int] | None:
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_mtime_ns, state.st_size

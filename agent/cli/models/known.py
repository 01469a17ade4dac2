"""What the configuration and the data directory say of models; no agent is asked."""

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from agent.cli.failure import Failure
from agent.cli.reach import Where
from agent.config import load_config

if TYPE_CHECKING:
    from agent.model_desk import ModelInfo
    from plugins.llm.files.part import Begun
    from plugins.llm.service.quarantine import Quarantine
    from plugins.llm.spec import ModelSpec

__all__ = ["Begins", "Known", "Shelf"]

CONFIGURED, ADDED = "configuration", "added"


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """A model, as far as it is known without asking an agent."""

    name: str
    provider: str
    source: str
    """configuration or added; empty: neither."""
    file: str = ""
    size_bytes: int = 0
    """Of its file; 0: remote, or not there."""


class Begins(msgspec.Struct, frozen=True, kw_only=True):
    """A download that was interrupted, or is under way."""

    name: str
    done: int
    total: int
    """Bytes; 0: not known."""


class Shelf:
    """The models of one data directory and its configuration. Raises InvalidConfig."""

    def __init__(self, config: Path | None, data_dir: Path | None) -> None:
        from agent.config.models import model_specs
        from agent.intelligence import models_folder
        from engine.clock import SystemClock
        from plugins.llm.service.catalogue import Catalogue

        flags = {"--data-dir": ("data_dir", None if data_dir is None else str(data_dir))}
        self.where = Where(config=config, data_dir=data_dir)
        """The agent of this data directory."""
        self.settings, self.config_file = load_config(config, flags=flags)
        self.data_path = self.settings.data_path
        self.folder = models_folder(self.data_path)
        self.catalogue = Catalogue(model_specs(self.settings.models), self.folder, SystemClock())

    def names(self) -> tuple[str, ...]:
        return self.catalogue.names()

    def spec(self, name: str) -> "ModelSpec":
        """Raises Failure: unknown, or its manifest is damaged."""
        from plugins.llm.errors import ModelError

        try:
            return self.catalogue.get(name)
        except ModelError as error:
            raise Failure(str(error)) from None

    def local(self, name: str, what: str) -> "ModelSpec":
        """The spec of a model with a file. Raises Failure; `what` is what can't be done with another one."""
        spec = self.spec(name)
        if not spec.file:
            raise Failure(f"{name} is a remote model ({spec.provider.value}): there is no file to {what}")
        return spec

    def is_configured(self, name: str) -> bool:
        return name in self.settings.models

    def section(self, name: str) -> str:
        """Where the configuration has it."""
        at = f" of {self.config_file}" if self.config_file is not None else " of the configuration"
        key = f'"{name}"' if "." in name else name
        return f"[models.{key}]{at}"

    def known(self, name: str) -> Known:
        source = CONFIGURED if self.is_configured(name) else ADDED
        if self.catalogue.problem(name):
            return Known(name=name, provider="local", source=source)
        if name not in self.names():  # an agent runs with another configuration
            return Known(name=name, provider="", source="")
        spec = self.catalogue.get(name)
        return Known(
            name=name, provider=spec.provider.value, source=source, file=spec.file, size_bytes=file_size(spec.file)
        )  # fmt: skip

    def look(self, name: str) -> tuple[int, str]:
        """Tokens that a local model has, 0 for a remote one; and what is wrong with its file. Reads its header."""
        from plugins.llm.errors import ModelError
        from plugins.llm.local.gguf import read_header
        from plugins.llm.local.memory import context_of

        try:
            spec = self.catalogue.get(name)
            return (context_of(spec, read_header(spec.file)) if spec.file else 0), ""
        except ModelError as error:
            return 0, str(error)

    def begun(self) -> tuple[Begins, ...]:
        """Downloads that are not whole yet."""
        from plugins.llm.files.adding import begun_files

        return tuple(_begins(name, begun) for name, begun in begun_files(self.folder).items())

    def states(self) -> "list[ModelInfo]":
        """How all are while no agent runs."""
        from agent.config.models import model_specs
        from agent.model_desk import ModelInfo
        from plugins.llm.service.models import Models

        found = Models(model_specs(self.settings.models), folder=self.folder).states()
        return [msgspec.convert(state, ModelInfo, from_attributes=True) for state in found]

    def quarantine(self) -> "Quarantine":
        from engine.clock import SystemClock
        from plugins.llm.service.quarantine import Quarantine

        return Quarantine(self.folder, SystemClock())


def file_size(file: str) -> int:
    """Bytes; 0 where there is none."""
    try:
        return Path(file).stat().st_size if file else 0
    except OSError:
        return 0


def _begins(name: str, begun: "Begun") -> Begins:
    return Begins(name=name, done=begun.saved, total=begun.total)

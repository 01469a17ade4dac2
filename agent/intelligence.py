"""The language models of a process: those of the configuration, and those in the data directory."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from agent.config import Config
from agent.config.models import model_specs
from agent.secret_files import UnreadableSecret
from engine.secrets import SecretSource, UnknownSecret
from plugins.llm.service.models import Models

_log = logging.getLogger("ganglion.models")
__all__ = ["models_folder", "opened_models"]


def models_folder(data_dir: Path) -> Path:
    """Where `ganglion models add` brings them."""
    return data_dir / "models"


@asynccontextmanager
async def opened_models(
    config: Config, secrets: SecretSource, *, crash: Path | None = None, owns: bool = False
) -> AsyncIterator[Models]:
    """Within the block models can be asked; afterwards they are out of memory. Their `run` is the caller's task.

    Who `owns` the data directory tells from `crash`, the stacks that the last process left, which model killed it, and
    leaves marks for the next one.
    """

    def secret(name: str) -> str | None:
        try:
            return secrets.reveal(name)
        except UnreadableSecret as error:
            _log.warning("%s", error)
        except UnknownSecret:
            pass
        return None

    models = Models(model_specs(config.models), folder=models_folder(config.data_path), secret=secret)
    if owns:
        models.quarantine.judge(_text(crash))
    try:
        yield models
    finally:
        await models.aclose()


def _text(crash: Path | None) -> str:
    try:
        return crash.read_text(errors="replace") if crash is not None else ""
    except OSError:
        return ""

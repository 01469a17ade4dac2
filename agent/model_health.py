"""Can the language models be used? Nothing is loaded, read through, or asked for it."""

import importlib.util
from collections.abc import Iterator

from agent.build import inside
from agent.config import Config
from agent.config.models import model_specs
from agent.finding import Finding, Verdict
from agent.intelligence import models_folder
from agent.secret_files import SecretFiles
from engine.secrets import UnknownSecret
from plugins.llm.service.models import Models, ModelState

__all__ = ["examine_models"]

DISTRIBUTION, MODULE = "llama-cpp-python", "llama_cpp"
_REMEDIES = {
    "idle": "bring the file there, or `ganglion models remove` it",
    "quarantined": "use another file, or `ganglion models verify NAME --release`",
    "damaged": "mend its manifest, or remove the model and add it again",
}


def examine_models(config: Config) -> Iterator[Finding]:
    """The library, and each model that can't be used."""
    models = Models(model_specs(config.models), folder=models_folder(config.data_path))
    states = models.states()
    yield _library(is_needed=any(state.provider == "local" for state in states))
    keys = list(_keys(config))
    bad = [state for state in states if state.problem]
    for state in bad:
        yield Finding(f"model {state.name}", Verdict.FAIL, state.problem, _remedy(state))
    yield from keys
    if not bad and not keys:
        named = f"{len(states)}: {', '.join(state.name for state in states)[:200]}" if states else "none"
        yield Finding("models", Verdict.OK, f"{named}; added ones are in {models_folder(config.data_path)}")


def _library(*, is_needed: bool) -> Finding:
    if importlib.util.find_spec(MODULE) is None:
        return Finding(
            "llama.cpp", Verdict.FAIL if is_needed else Verdict.OK,
            "is not installed: there are no local models, remote ones work", "pip install 'ganglion[llm]'",
        )  # fmt: skip
    version = inside().get("llama_cpp", "of unknown version")
    return Finding("llama.cpp", Verdict.OK, f"{DISTRIBUTION} {version}")


def _keys(config: Config) -> Iterator[Finding]:
    """Keys of remote models that are not there."""
    secrets = SecretFiles(config.data_path)
    for name, model in config.models.items():
        if not model.key:
            continue
        try:
            secrets.reveal(model.key)
        except UnknownSecret:
            yield Finding(
                f"model {name}", Verdict.FAIL, f"its key {model.key} is no secret that can be read here",
                f"put it into {config.data_path / 'secrets' / model.key} (mode 600), or GANGLION_SECRET_{model.key}",
            )  # fmt: skip


def _remedy(state: ModelState) -> str:
    return _REMEDIES.get(state.state, "").replace("NAME", state.name)

"""What doctor says of the language models."""

from pathlib import Path

import pytest

from agent.config import load_config
from agent.finding import Finding, Verdict
from agent.model_health import examine_models
from tests.running import ROOT


def found(tmp_path: Path, text: str) -> dict[str, Finding]:
    path = tmp_path / "ganglion.toml"
    path.write_text(text)
    config, _ = load_config(path, environ={}, flags={"--data-dir": ("data_dir", str(tmp_path / "data"))})
    return {finding.check: finding for finding in examine_models(config)}


def test_models_that_can_be_used_are_named(tmp_path: Path) -> None:
    model = ROOT / "examples/models/triage-tiny-q8_0.gguf"
    findings = found(tmp_path, f'[models.tiny]\nfile = "{model}"\n[models.o]\nprovider = "ollama"\n')
    assert findings["llama.cpp"].verdict is Verdict.OK
    assert findings["llama.cpp"].message.startswith("llama-cpp-python 0.")
    assert findings["models"] == Finding("models", Verdict.OK, f"2: o, tiny; added ones are in {tmp_path}/data/models")


def test_each_model_with_a_problem_is_told_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GANGLION_SECRET_KEY_OF_CLOUD", raising=False)
    (tmp_path / "data/models").mkdir(parents=True)
    (tmp_path / "data/models/bad.json").write_text("{")
    findings = found(
        tmp_path, '[models.gone]\nfile = "/no/g.gguf"\n[models.cloud]\nprovider = "openai"\nkey = "KEY_OF_CLOUD"\n'
    )
    assert findings["model gone"].message == "there is no file /no/g.gguf"
    assert "bring the file there" in findings["model gone"].remedy
    assert "its manifest" in findings["model bad"].message
    assert findings["model cloud"].message == "its key KEY_OF_CLOUD is no secret that can be read here"
    assert "GANGLION_SECRET_KEY_OF_CLOUD" in findings["model cloud"].remedy
    assert all(finding.verdict is Verdict.FAIL for name, finding in findings.items() if name.startswith("model "))
    assert "models" not in findings


def test_without_models_the_place_for_them_is_told(tmp_path: Path) -> None:
    findings = found(tmp_path, "")
    assert list(findings) == ["llama.cpp", "models"]
    assert findings["models"].message == f"none; added ones are in {tmp_path}/data/models"

"""`[models.<name>]`: sections whose names people choose."""

from pathlib import Path

import pytest

from agent.config import InvalidConfig, load_config
from agent.config.models import model_specs
from plugins.llm.spec import ModelSpec, Source


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "ganglion.toml"
    path.write_text(text)
    return path


def test_sections_become_specs_with_units_read_and_paths_made_absolute(tmp_path: Path) -> None:
    text = """\
[models.triage-tiny]
file = "models/t.gguf"
context = 1024
keep_alive = "10m"
max_ram = "64MiB"

[models."llama3.2-1b"]
file = "/srv/l.gguf"
keep_alive = "forever"

[models.cloud]
provider = "openai"
model = "gpt-5-mini"
key = "OPENAI"

[models.there]
provider = "ollama"
url = "http://10.0.0.5:11434/"
context = 8192
stall = "2m"
"""
    config, _ = load_config(write(tmp_path, text), environ={})
    assert model_specs(config.models) == (
        ModelSpec(
            name="triage-tiny", file=str(tmp_path / "models/t.gguf"), context=1024, keep_alive=600.0, max_ram=64 * 2**20
        ),
        ModelSpec(name="llama3.2-1b", file="/srv/l.gguf", keep_alive=-1.0),
        ModelSpec(
            name="cloud", provider=Source.OPENAI, model="gpt-5-mini", key="OPENAI", url="https://api.openai.com/v1"
        ),
        ModelSpec(name="there", provider=Source.OLLAMA, url="http://10.0.0.5:11434", context=8192, stall=120.0),
    )


def test_the_environment_adds_models_and_keys_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config, _ = load_config(
        write(tmp_path, '[models.tiny]\nfile = "a.gguf"\n'),
        environ={"GANGLION_MODELS__TINY__THREADS": "2", "GANGLION_MODELS__OTHER-1__FILE": "b.gguf"},
    )
    assert config.models["tiny"].threads == 2
    assert config.models["other-1"].file == str(tmp_path / "b.gguf")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[models.m]\nfiel = "a"\n', "ganglion.toml:2: there is no setting models.m.fiel; did you mean file?"),
        ("[models.m]\ncontext = 5\n", 'models.m.file: is needed: the path of a GGUF file, or provider = "openai"'),
        ('[models.m]\nfile = "a"\nkey = "K"\n', 'models.m.key: is for a remote model, and this one has provider = "lo'),
        ('[models.m]\nprovider = "ollama"\nfile = "a"\n', "models.m.file: is for a local model, and this one has"),
        ('[models.m]\nprovider = "olama"\n', "models.m.provider: expected local, openai, anthropic, ollama; did you m"),
        ('[models.m]\nfile = "a"\nsha256 = "xyz"\n', "models.m.sha256: expected 64 hex digits"),
        ('[models.m]\nprovider = "openai"\nurl = "api.x"\n', "models.m.url: expected http:// or https:// and a host"),
        ('[models.m]\nprovider = "openai"\nurl = "https://"\n', "models.m.url: expected http:// or https:// and a h"),
        ('[models.m]\nprovider = "openai"\nurl = "http://u:p4ss@h/v1"\n', "models.m.url: must hold no user or passw"),
        ('[models.m]\nprovider = "openai"\nkey = "sk-p4ss"\n', "models.m.key: expected the name of a secret, letters"),
        (
            '[models.m]\nfile = "a"\nkeep_alive = 5\n',
            'keep_alive: expected a duration in quotes, such as "5m", or "for',
        ),
        ('[models.Big]\nfile = "a"\n', "ganglion.toml:2: models.Big: a model's name has up to 64 lower-case letters"),
        ('[models."a.b"]\nfiel = "a"\n', "ganglion.toml:2: there is no setting models.a.b.fiel"),
        ("[models.m]\n", "ganglion.toml:1: models.m is a section; its keys are provider, file"),
        ('[models]\nfile = "a"\n', "models.file is a section; its keys are provider, file"),
        ("models = 1\n", "ganglion.toml:1: models holds sections: write [models.NAME]"),
    ],
)
def test_a_mistake_is_told_with_its_place_and_remedy(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        load_config(write(tmp_path, text), environ={})
    assert message in str(caught.value)
    assert "p4ss" not in str(caught.value)

import tomllib
from pathlib import Path

import msgspec

from agent.config import load_config
from agent.config.example import example
from agent.config.load import all_keys
from agent.config.models import Model

FILE = Path(__file__).parents[3] / "config.example.toml"
WITHOUT_DEFAULT = {"agent.labels"}


def test_the_example_is_what_the_model_says() -> None:
    assert FILE.read_text() == example(), (
        "run: python -c 'from agent.config.example import example; print(example(), end=\"\")' > config.example.toml"
    )


def test_every_key_stands_in_the_example_with_its_default(tmp_path: Path) -> None:
    path = tmp_path / "all.toml"
    path.write_text("\n".join(line.removeprefix("# ") if " = " in line else line for line in values()))
    tree = tomllib.loads(path.read_text())
    assert sorted(set(leaves(tree))) == sorted(all_keys())
    config, _ = load_config(path, environ={})
    default, _ = load_config(environ={"HOME": str(tmp_path)})
    assert msgspec.structs.replace(config, data_dir="", agent=default.agent, models={}) == msgspec.structs.replace(
        default, data_dir=""
    )
    assert config.models["triage-tiny"] == Model(file=str(tmp_path / "models" / "triage-tiny-q8_0.gguf"))
    assert config.models["cloud"].provider == "openai"


def values() -> list[str]:
    """The lines of the example that are sections or keys."""
    keys = {key.rpartition(".")[2] for key in all_keys()}
    return [
        line.replace("# [", "[")
        for line in FILE.read_text().splitlines()
        if line.startswith(("[", "# [")) or line.removeprefix("# ").partition(" = ")[0] in keys
    ]


def leaves(tree: dict[str, object], prefix: str = "") -> list[str]:
    found: list[str] = []
    for key, value in tree.items():
        if isinstance(value, dict) and prefix + key not in WITHOUT_DEFAULT:
            found += leaves(value, f"{prefix}{'*' if prefix == 'models.' else key}.")
        else:
            found.append(prefix + key)
    return found

"""Models by name: the configuration's, and those whose manifests lie in the folder."""

from pathlib import Path
from typing import Any

import pytest

from plugins.llm.errors import ModelError, Trouble
from plugins.llm.service.catalogue import Catalogue, encode_manifest
from plugins.llm.spec import ModelSpec, Source

OWN = ModelSpec(name="own", file="/srv/own.gguf")


@pytest.fixture
def catalogue(folder: Path, clock: Any) -> Catalogue:
    return Catalogue([OWN, ModelSpec(name="triage-tiny", file="/srv/t.gguf")], folder, clock)


def refusal(catalogue: Catalogue, name: str) -> ModelError:
    with pytest.raises(ModelError) as caught:
        catalogue.get(name)
    return caught.value


def test_model_that_was_added_is_found_at_once_with_its_file_in_the_folder(catalogue: Catalogue, folder: Path) -> None:
    assert refusal(catalogue, "new").trouble is Trouble.UNKNOWN
    (folder / "new.json").write_text('{"file": "new.gguf", "context": 512}')
    assert catalogue.get("new") == ModelSpec(name="new", file=str(folder / "new.gguf"), context=512)
    assert catalogue.names() == ("new", "own", "triage-tiny")


def test_changed_and_removed_manifests_are_noticed_within_a_second(
    catalogue: Catalogue, folder: Path, clock: Any
) -> None:
    manifest = folder / "new.json"
    manifest.write_text('{"file": "new.gguf"}')
    assert catalogue.get("new").context == 0
    manifest.write_text('{"file": "new.gguf", "context": 1024}')
    clock.seconds += 1.0
    assert catalogue.get("new").context == 1024
    manifest.unlink()
    clock.seconds += 1.0
    assert refusal(catalogue, "new").trouble is Trouble.UNKNOWN


def test_configuration_goes_before_the_folder(catalogue: Catalogue, folder: Path) -> None:
    (folder / "own.json").write_text('{"file": "other.gguf"}')
    assert catalogue.get("own") == OWN


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("triage-tiiny", "did you mean triage-tiny?"),
        ("xyz", "known here: own, triage-tiny; `ganglion models add` adds one, or write [models.xyz]"),
    ],
)
def test_unknown_name_is_told_with_what_there_is(catalogue: Catalogue, name: str, advice: str) -> None:
    error = refusal(catalogue, name)
    assert error.trouble is Trouble.UNKNOWN
    assert str(error).startswith(f"there is no model {name}; {advice}")


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"file": "a.gguf", "colour": 1}', '{"context": 5}', '{"file": "a.gguf", "context": "x"}']
)
def test_damaged_manifest_is_a_problem_of_that_model_alone(catalogue: Catalogue, folder: Path, text: str) -> None:
    (folder / "bad.json").write_text(text)
    (folder / "good.json").write_text('{"file": "good.gguf"}')
    error = refusal(catalogue, "bad")
    assert error.trouble is Trouble.DAMAGED
    assert f"manifest {folder / 'bad.json'} can't be read" in str(error)
    assert "ganglion models remove bad" in str(error)
    assert catalogue.problem("bad") == str(error)
    assert catalogue.get("good").name == "good"


def test_the_problem_of_a_manifest_is_known_before_anybody_asked_for_the_model(
    catalogue: Catalogue, folder: Path
) -> None:
    (folder / "bad.json").write_text("{")
    assert f"manifest {folder / 'bad.json'} can't be read" in catalogue.problem("bad")


def test_other_files_in_the_folder_are_no_models(catalogue: Catalogue, folder: Path) -> None:
    for name in (".quarantine.json", "Big.json", "tiny.gguf", "half.json.part"):
        (folder / name).write_text("{}")
    assert catalogue.names() == ("own", "triage-tiny")


def test_without_a_folder_the_configuration_is_all(tmp_path: Path, clock: Any) -> None:
    assert Catalogue([OWN], None, clock).names() == ("own",)
    assert Catalogue([OWN], tmp_path / "none", clock).names() == ("own",)


def test_manifest_is_read_back_as_it_was_written(folder: Path, catalogue: Catalogue) -> None:
    spec = ModelSpec(name="cloud", provider=Source.OPENAI, url="http://127.0.0.1:1", key="KEY", stall=5.0)
    (folder / "cloud.json").write_bytes(encode_manifest(spec))
    assert catalogue.get("cloud") == spec

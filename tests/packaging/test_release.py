"""What goes with a release: signatures, checksums, and what is inside."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

ROOT = Path(__file__).parents[2]
LICENCE = {
    "oneOf": [
        {"type": "object", "required": ["expression"], "additionalProperties": False,
         "properties": {"expression": {"type": "string"}}},
        {"type": "object", "required": ["license"], "additionalProperties": False, "properties": {
            "license": {"type": "object", "oneOf": [{"required": ["id"]}, {"required": ["name"]}],
                        "properties": {"id": {"type": "string"}, "name": {"type": "string"}},
                        "additionalProperties": False}}},
    ]
}  # fmt: skip
TYPES = ["application", "framework", "library", "container", "platform", "operating-system", "device", "firmware",
         "device-driver", "file", "machine-learning-model", "data", "cryptographic-asset"]  # fmt: skip
HASH = {
    "type": "object", "required": ["alg", "content"],
    "properties": {"alg": {"const": "SHA-256"}, "content": {"pattern": "^[a-f0-9]{64}$"}},
}  # fmt: skip
COMPONENT = {
    "type": "object",
    "required": ["type", "name"],
    "additionalProperties": False,
    "properties": {
        "type": {"enum": TYPES},
        "bom-ref": {"type": "string", "minLength": 1},
        "name": {"type": "string"},
        "version": {"type": "string", "maxLength": 1024},
        "purl": {"type": "string", "pattern": "^pkg:(pypi|generic)/[a-z0-9.-]+@"},
        "licenses": {"type": "array", "items": LICENCE},
        "hashes": {"type": "array", "items": HASH},
        "properties": {"type": "array", "items": {"required": ["name"], "type": "object"}},
        "components": {"type": "array", "items": {"$ref": "#/$defs/component"}, "uniqueItems": True},
    },
}
SCHEMA = {
    "$defs": {"component": COMPONENT},
    "type": "object",
    "required": ["bomFormat", "specVersion"],
    "additionalProperties": False,
    "properties": {
        "$schema": {"const": "http://cyclonedx.org/schema/bom-1.6.schema.json"},
        "bomFormat": {"const": "CycloneDX"},
        "specVersion": {"const": "1.6"},
        "serialNumber": {
            "pattern": "^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
        },
        "version": {"type": "integer", "minimum": 1},
        "metadata": {"type": "object", "additionalProperties": False, "properties": {
            "timestamp": {"pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$"},
            "tools": {"type": "object", "properties": {"components": {"items": {"$ref": "#/$defs/component"}}}},
            "component": {"$ref": "#/$defs/component"}}},
        "components": {"type": "array", "items": {"$ref": "#/$defs/component"}, "uniqueItems": True},
        "dependencies": {"type": "array", "uniqueItems": True, "items": {
            "type": "object", "required": ["ref"], "additionalProperties": False,
            "properties": {"ref": {"type": "string"}, "dependsOn": {"type": "array", "uniqueItems": True}}}},
    },
}  # fmt: skip
"""What the schema of CycloneDX 1.6 asks of the fields that we write."""


def run(tool: str, *arguments: object, code: int = 0, **environ: str) -> str:
    line = [sys.executable, ROOT / "packaging" / tool, *arguments]
    done = subprocess.run(line, capture_output=True, text=True, check=False, env={"PATH": "/usr/bin:/bin", **environ})
    assert done.returncode == code, done.stderr
    return done.stdout if code == 0 else done.stderr


@pytest.fixture(scope="module")
def bom(tmp_path_factory: pytest.TempPathFactory) -> Any:
    file = tmp_path_factory.mktemp("dist") / "ganglion-0.1.0"
    file.write_bytes(b"x")
    told = [run("sbom.py", "--extra", "llm", "--file", file, SOURCE_DATE_EPOCH="1790000000") for _ in range(2)]
    assert told[0] == told[1], "the same inputs give the same document"
    return json.loads(told[0])


def test_the_bill_of_materials_is_what_cyclonedx_asks_for(bom: Any) -> None:
    jsonschema.Draft202012Validator(SCHEMA).validate(bom)
    assert bom["metadata"]["timestamp"] == "2026-09-21T14:13:20Z"


def test_everything_that_the_project_asks_for_is_in_the_bill(bom: Any) -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *project["optional-dependencies"]["llm"]]
    names = {re.split(r"[\[<>=;~ ]", text)[0].lower().replace("_", "-").replace(".", "-") for text in asked}
    there = {one["name"] for one in bom["components"]}
    assert names <= there
    assert {"python", "sqlite", "h11"} <= there
    assert not {"pytest", "mypy", "ruff", "ganglion"} & there


def test_dependencies_in_the_bill_lead_to_its_components(bom: Any) -> None:
    refs = [one["bom-ref"] for one in (*bom["components"], bom["metadata"]["component"])]
    assert len(refs) == len(set(refs))
    for edge in bom["dependencies"]:
        assert {edge["ref"], *edge["dependsOn"]} <= set(refs)
    assert len(bom["dependencies"][0]["dependsOn"]) > 10


def test_a_licence_is_known_of_every_distribution(bom: Any) -> None:
    assert [
        one["name"] for one in bom["components"] if one["purl"].startswith("pkg:pypi") and "licenses" not in one
    ] == []


def test_a_signed_file_can_be_verified_and_a_changed_one_not(tmp_path: Path) -> None:
    key, file = tmp_path / "release", tmp_path / "ganglion-0.2.0"
    file.write_bytes(b"x" * 1000)
    run("sign.py", "key", key)
    assert key.stat().st_mode & 0o777 == 0o600
    assert "File exists" in run("sign.py", "key", key, code=1)
    run("sign.py", "sign", file, "--key", key, "--version", "0.2.0", "--arch", "linux-x86_64")

    said = run("sign.py", "verify", file, "--pub", f"{key}.pub")
    assert said.startswith("ganglion-0.2.0 is 0.2.0 for linux-x86_64, signed by ")
    file.write_bytes(b"y" * 1000)
    assert "is not the file that was signed" in run("sign.py", "verify", file, "--pub", f"{key}.pub", code=1)


def test_checksums_are_those_of_sha256sum(tmp_path: Path) -> None:
    for name in ("b", "a"):
        (tmp_path / name).write_text(name)
    run("sign.py", "sums", tmp_path / "b", tmp_path / "a")
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=tmp_path, check=True, capture_output=True)
    assert [line.split()[1] for line in (tmp_path / "SHA256SUMS").read_text().splitlines()] == ["a", "b"]

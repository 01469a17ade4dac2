"""What is inside: a CycloneDX 1.6 document of the distributions that Ganglion needs, as they are installed.

python packaging/sbom.py [--extra llm] [--output FILE] [--file dist/ganglion-…]

Where it begins is pyproject.toml. The document is the same for the same inputs: its time is SOURCE_DATE_EPOCH, and its
serial number comes from its content.
"""

import argparse
import hashlib
import json
import os
import platform
import re
import sqlite3
import sys
import time
import tomllib
import uuid
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = "ganglion"
PROJECT = tomllib.loads((Path(__file__).resolve().parents[1] / "pyproject.toml").read_text())["project"]
NOT_A_LICENCE = re.compile(r"\n|^unknown$|^dual license$", re.IGNORECASE)
SPDX = {
    "Apache 2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "BSD": "BSD-3-Clause",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "PSFL": "PSF-2.0",
    "MIT": "MIT",
    "ISC": "ISC",
}
"""Names that packages give to licences, and their identifiers."""


def needed(extras: Iterable[str]) -> dict[str, Distribution]:
    """Every installed distribution that Ganglion with these extras leads to, by canonical name."""
    found: dict[str, Distribution] = {}
    todo = [(canonicalize_name(one.name), frozenset(one.extras)) for one in direct(extras)]
    seen: set[tuple[str, frozenset[str]]] = set()
    while todo:
        name, wanted = todo.pop()
        if (name, wanted) in seen:
            continue
        seen.add((name, wanted))
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:
            continue  # what is not installed is not inside
        more = _applying(found[name].requires or (), wanted)
        todo += [(canonicalize_name(one.name), frozenset(one.extras)) for one in more]
    return dict(sorted(found.items()))


def direct(extras: Iterable[str]) -> list[Requirement]:
    """What pyproject.toml asks for."""
    optional = PROJECT["optional-dependencies"]
    return list(_applying([*PROJECT["dependencies"], *(text for extra in extras for text in optional[extra])], ()))


def document(found: dict[str, Distribution], *, extras: Iterable[str], files: Iterable[Path] = ()) -> dict[str, Any]:
    """The CycloneDX document; `files` are what it is about."""
    version = PROJECT["version"]
    about = {
        "type": "application", "bom-ref": f"pkg:generic/{ROOT}@{version}", "name": ROOT, "version": version,
        "licenses": [{"expression": PROJECT["license"]}], "purl": f"pkg:generic/{ROOT}@{version}",
    }  # fmt: skip
    if inner := [_file(file) for file in files]:
        about["components"] = inner
    below = [_generic("python", platform.python_version()), _generic("sqlite", sqlite3.sqlite_version)]
    components = [_component(name, one) for name, one in found.items()] + below

    def refs(requirements: Iterable[Requirement]) -> list[str]:
        names = {canonicalize_name(one.name) for one in requirements}
        return sorted(_purl(name, found[name].version) for name in names if name in found)

    dependencies = [
        {"ref": about["bom-ref"], "dependsOn": [*refs(direct(extras)), *(one["bom-ref"] for one in below)]},
        *(
            {"ref": _purl(name, one.version), "dependsOn": refs(_applying(one.requires or (), ()))}
            for name, one in found.items()
        ),
    ]
    moment = int(os.environ.get("SOURCE_DATE_EPOCH") or time.time())
    content = json.dumps([about, components, dependencies], sort_keys=True)
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, content)}",
        "version": 1,
        "metadata": {
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment)),
            "tools": {"components": [{"type": "application", "name": "packaging/sbom.py"}]},
            "component": about,
        },
        "components": components,
        "dependencies": dependencies,
    }


def _component(name: str, one: Distribution) -> dict[str, Any]:
    purl = _purl(name, one.version)
    made: dict[str, Any] = {"type": "library", "bom-ref": purl, "name": name, "version": one.version, "purl": purl}
    if licences := _licences(one):
        made["licenses"] = licences
    if recorded := _recorded(one):
        made["properties"] = [{"name": "ganglion:record-sha256", "value": recorded}]
    return made


def _recorded(one: Distribution) -> str:
    """A SHA-256 over the checksums of all its files, in the order of their names: those of RECORD, so that it tells a
    changed file. Empty where it has none."""
    own = (file for file in one.files or () if file.hash is not None and ".." not in file.parts)  # no scripts
    lines = [f"{file}:{file.hash.value}" for file in own if file.hash is not None]
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest() if lines else ""


def _licences(one: Distribution) -> list[dict[str, Any]]:
    """As the package says it: an expression, a name, or its classifiers."""
    about = one.metadata
    if expression := about.get("License-Expression"):
        return [{"expression": expression}]
    classified = [
        text.rpartition(" :: ")[2]
        for text in about.get_all("Classifier") or ()
        if text.startswith("License :: ") and not text.endswith("OSI Approved")
    ]
    named = (about.get("License") or "").strip()
    texts = classified or ([named] if named and not NOT_A_LICENCE.search(named) else [])
    ids = {**SPDX, **{id: id for id in SPDX.values()}}
    return [{"license": {"id": ids[text]} if text in ids else {"name": text}} for text in texts]


def _file(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        content = hashlib.file_digest(file, "sha256").hexdigest()
    return {"type": "file", "name": path.name, "hashes": [{"alg": "SHA-256", "content": content}]}


def _purl(name: str, version: str) -> str:
    return f"pkg:pypi/{name}@{version}"


def _generic(name: str, version: str) -> dict[str, Any]:
    """What is inside without being a distribution."""
    purl = f"pkg:generic/{name}@{version}"
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}


def _applying(texts: Iterable[str], extras: Iterable[str]) -> Iterator[Requirement]:
    """The requirements that hold here."""
    for requirement in map(Requirement, texts):
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield requirement


def main() -> int:
    parser = argparse.ArgumentParser(description="Write a CycloneDX 1.6 document of what is inside.")
    parser.add_argument("--extra", action="append", default=[], help="with what this extra needs, such as llm")
    parser.add_argument("--file", action="append", default=[], type=Path, help="an artefact that it is about")
    parser.add_argument("--output", type=Path)
    said = parser.parse_args()
    text = json.dumps(document(needed(said.extra), extras=said.extra, files=said.file), indent=2) + "\n"
    if said.output is None:
        sys.stdout.write(text)
    else:
        said.output.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())

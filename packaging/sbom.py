"""What is inside an executable: a CycloneDX 1.6 document.

python packaging/sbom.py dist/ganglion-0.1.0-linux-x86_64 [--output FILE]

The executable itself holds the list of its parts (packaging/licences.py writes it while it packs): Python packages,
what they are linked of, the building machine's libraries in their versions, the models. It must run on this machine.
Which package needs which is looked up in the environment that has packed it, as far as it is the same.

The document is the same for the same inputs: its time is SOURCE_DATE_EPOCH, its serial number comes from its
content.
"""

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any
from urllib.parse import quote

from lock import BUILD, PACKED, ROOT, entries
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

OURS = "ganglion"
CRATES = "CRATES.txt"
GENERIC = {"OpenSSL", "Python", "SQLite", "llama.cpp"}
"""Parts that are neither a Python package nor one of the system."""
NAMED = {
    "Apache 2.0": "Apache-2.0",
    "Apache 2 License": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "BSD": "BSD-3-Clause",
    "ISC License": "ISC",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "PSFL": "PSF-2.0",
}
"""Names that packages give to licences, and their SPDX identifiers."""
EXPRESSION = re.compile(r"\(*[\w.+-]+\)*( (AND|OR|WITH) \(*[\w.+-]+\)*)*", re.IGNORECASE)

Json = Any


def document(executable: Path, parts: list[Json], crates: dict[str, str]) -> Json:
    """`parts`: the executable's list; `crates`: the text about libraries in Rust by part."""
    version = next(part["version"] for part in parts if part["part"] == OURS)
    (licence,) = _licences(next(part["licence"] for part in parts if part["part"] == OURS))
    about = {
        "type": "application", "bom-ref": f"pkg:generic/{OURS}@{version}", "name": OURS, "version": version,
        "licenses": [licence], "purl": f"pkg:generic/{OURS}@{version}", "components": [_file(executable)],
    }  # fmt: skip
    locked: set[str] = {
        canonicalize_name(one.name) for use in (PACKED, BUILD) for one, _ in entries((ROOT / use).read_text())
    }
    components = [_component(part, locked, crates.get(part["part"], "")) for part in parts if part["part"] != OURS]
    packages = [one for one in components if one["bom-ref"].startswith("pkg:pypi/")]
    refs: dict[str, str] = {canonicalize_name(one["name"]): one["bom-ref"] for one in packages}
    dependencies = [
        {"ref": about["bom-ref"], "dependsOn": sorted(one["bom-ref"] for one in components)},
        *(
            {"ref": ref, "dependsOn": sorted({refs[one] for one in _needed(name, ref) if one in refs})}
            for name, ref in refs.items()
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


def listed(executable: Path) -> tuple[list[Json], dict[str, str]]:
    """What an executable says of its parts. Raises SystemExit if it does not run here, or says nothing."""
    with tempfile.TemporaryDirectory() as cache:
        command = [str(executable.absolute()), "--version"]
        try:
            subprocess.run(command, check=True, capture_output=True, env=os.environ | {"GANGLION_CACHE_DIR": cache})
        except (OSError, subprocess.CalledProcessError) as error:
            sys.exit(f"{executable} does not run here, which is how its parts are read: {error}")
        found = list(Path(cache).glob("*/_internal/licences/index.json"))
        if not found:
            sys.exit(f"{executable} has no list of its parts: it was not made by packaging/build.py")
        parts: list[Json] = json.loads(found[0].read_text())
        return parts, {path.parent.name: path.read_text() for path in found[0].parent.glob(f"*/{CRATES}")}


def _component(part: Json, locked: set[str], crates: str) -> Json:
    name, version = part["part"], part["version"]
    model = not version  # of Ganglion's own making
    purl = _purl(name, version, locked)
    made: Json = {"type": "machine-learning-model" if model else "library", "bom-ref": purl, "name": name, "purl": purl}
    if not model:
        made["version"] = version
    made["licenses"] = _licences(part["licence"])
    inner = [_inner(one["part"], one["licence"], "golang") for one in part["inside"]]
    for line in crates.splitlines():
        crate, _, licence = line.partition(": ")
        inner.append(_inner(crate, licence, "cargo"))
    if unique := list({json.dumps(one): one for one in inner}.values()):
        made["components"] = unique
    return made


def _inner(name: str, licence: str, kind: str) -> Json:
    """What a part is linked of; Go modules and crates carry their version in the name."""
    name, _, version = name.partition(" ")
    made: Json = {"type": "library", "name": name}
    if version:
        made |= {"version": version, "purl": f"pkg:{kind}/{name}@{version}"}
    return made | {"licenses": _licences(licence)}


def _purl(name: str, version: str, locked: set[str]) -> str:
    if not version:
        return f"pkg:generic/{name}"
    if name in GENERIC:
        return f"pkg:generic/{name.lower()}@{quote(version.split()[-1])}"
    if canonicalize_name(name) in locked:
        return f"pkg:pypi/{canonicalize_name(name)}@{version}"
    return f"pkg:deb/{'ubuntu' if 'ubuntu' in version else 'debian'}/{name}@{quote(version, safe='.~-:')}"


def _licences(said: str) -> list[Json]:
    """As the makers say it: one expression, or names."""
    known = NAMED.get(said, said)
    if EXPRESSION.fullmatch(known):
        return [{"expression": known}]
    names = [NAMED.get(name, name) for name in said.split(" / ")]
    return [{"license": {"id": name} if name in NAMED.values() else {"name": name}} for name in names]


def _needed(name: str, purl: str) -> Iterator[str]:
    """The packages that one asks for, if it is installed here in this version."""
    try:
        one = distribution(name)
    except PackageNotFoundError:
        return
    if purl.endswith(f"@{one.version}"):
        yield from (canonicalize_name(other.name) for other in _applying(one.requires or ()))


def _applying(texts: Iterable[str]) -> Iterator[Requirement]:
    """The requirements that hold here."""
    for requirement in map(Requirement, texts):
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield requirement


def _file(path: Path) -> Json:
    with path.open("rb") as file:
        content = hashlib.file_digest(file, "sha256").hexdigest()
    return {"type": "file", "name": path.name, "hashes": [{"alg": "SHA-256", "content": content}]}


def main() -> int:
    parser = argparse.ArgumentParser(description="Write a CycloneDX 1.6 document of what is inside an executable.")
    parser.add_argument("executable", type=Path)
    parser.add_argument("--output", type=Path, help="standard output if not given")
    said = parser.parse_args()
    text = json.dumps(document(said.executable, *listed(said.executable)), indent=2) + "\n"
    if said.output is None:
        sys.stdout.write(text)
    else:
        said.output.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Locks what a release is made of: versions, and the checksums of all files that packages have under them.

python packaging/lock.py        (make lock)

writes one list for each use, for every Python and architecture that we release for. Versions are those of
constraints.txt; what it doesn't name is an error, so that a release holds nothing that the tests did not run with.
Asking for the checksums is uv's work, which must be on the path of programs or beside Python. No list names where
packages come from.
"""

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PACKED, BUILD, SOURCE = "constraints-packed.txt", "constraints-build.txt", "constraints-source.txt"
EXTRAS = ("wasm",)
"""What the executable holds beside the project's own dependencies; llama.cpp is compiled of SOURCE."""
COMPILED = "llama-cpp-python"
BACKENDS = ("scikit-build-core", "setuptools", "wheel")
"""What makes wheels of the few packages that have none."""
ABOUT = {
    PACKED: "What is in the executable.",
    BUILD: "What builds the executable.",
    SOURCE: "What is compiled for the executable.",
}
PYTHONS = ("3.11", "3.12", "3.13", "3.14")


def asked(use: str) -> list[Requirement]:
    """What pyproject.toml asks for there."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    optional = project["optional-dependencies"]
    texts = {
        PACKED: [*project["dependencies"], *(text for extra in EXTRAS for text in optional[extra])],
        BUILD: [*optional["package"], *BACKENDS],
        SOURCE: [text for text in optional["llm"] if canonicalize_name(Requirement(text).name) == COMPILED],
    }
    return [Requirement(text) for text in texts[use]]


def entries(text: str) -> Iterator[tuple[Requirement, list[str]]]:
    """The packages of a list, each with its checksums; those that Linux needs."""
    for entry in text.replace("\\\n", " ").splitlines():
        if entry and not entry.startswith("#"):
            line, *hashes = entry.split(" --hash=sha256:")
            requirement = Requirement(line.strip())
            if requirement.marker is None or _needed(requirement.marker):
                yield requirement, sorted(one.strip() for one in hashes)


def constraints() -> dict[str, str]:
    """The versions of constraints.txt by canonical name."""
    lines = (line.split("#")[0].strip() for line in (ROOT / "constraints.txt").read_text().splitlines())
    return {canonicalize_name(name): version for name, _, version in (line.partition("==") for line in lines if line)}


def locked(use: str) -> str:
    """The list as it should be. Raises SystemExit for a package that constraints.txt does not name."""
    uv = shutil.which("uv", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
    if uv is None:
        sys.exit("there is no uv: `make lock` installs it, or pip install uv -c constraints.txt")
    command = [
        uv, "pip", "compile", "-", "--quiet", "--universal", "--python-version", PYTHONS[0], "--generate-hashes",
        "--no-header", "--no-annotate", "--constraints", str(ROOT / "constraints.txt"), "--no-config",
        *(("--no-deps",) if use == SOURCE else ()),
    ]  # fmt: skip
    wanted = "".join(f"{one}\n" for one in asked(use))
    done = subprocess.run(command, input=wanted, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{use}: {done.stderr}")
    known, found = constraints(), list(entries(done.stdout))
    if new := [f"{one.name}{one.specifier}" for one, _ in found if canonicalize_name(one.name) not in known]:
        sys.exit(f"constraints.txt does not name {', '.join(new)}: try that version, and add it")
    head = f"# {ABOUT[use]} Made by `make lock`; see packaging/README.md.\n"
    return head + "".join(_entry(one, hashes) for one, hashes in found)


def _needed(marker: Marker) -> bool:
    cpython = {"platform_python_implementation": "CPython", "implementation_name": "cpython"}
    return any(
        marker.evaluate({"sys_platform": "linux", "platform_system": "Linux", "platform_machine": machine, **cpython,
                         "python_version": python, "python_full_version": f"{python}.0"})
        for python in PYTHONS for machine in ("x86_64", "aarch64")
    )  # fmt: skip


def _entry(one: Requirement, hashes: list[str]) -> str:
    return " \\\n".join([str(one), *(f"    --hash=sha256:{digest}" for digest in hashes)]) + "\n"


def main() -> int:
    made = {use: locked(use) for use in ABOUT}
    for use, text in made.items():
        (ROOT / use).write_text(text)
        sys.stdout.write(f"{use}: {sum(1 for _ in entries(text))} packages, {text.count('--hash')} checksums\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

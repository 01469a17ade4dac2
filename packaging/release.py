"""A release: the executable with its Debian package, its bill of materials, checksums and signatures.

python packaging/release.py add dist/ganglion-0.1.0-linux-x86_64    the package and the bill beside it
python packaging/release.py seal dist --key FILE                    SHA256SUMS and signatures ($RELEASE_KEY: the file)
python packaging/release.py check dist [--pub FILE]                 what somebody would do who has fetched it

`make release` does all that on one machine. For several architectures each machine builds and adds, and one that alone
has the key seals the folder of all (.ci/release). `check` needs no more than the folder and the public key; it looks at
every architecture and starts the executable of this machine's.
"""

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import sign

from agent.update.signature import SUFFIX, Untrusted, checksum

HERE = Path(__file__).resolve().parent
NAME = re.compile(r"ganglion-(?P<version>.+)-linux-(?P<machine>x86_64|aarch64)")
DEBIAN = {"x86_64": "amd64", "aarch64": "arm64"}
BILL = ".cdx.json"


class Broken(Exception):
    """The folder is not a release; the message says what is wrong with which file."""


def executables(folder: Path) -> list[Path]:
    """Raises Broken where there is none."""
    if found := sorted(path for path in folder.glob("ganglion-*") if NAME.fullmatch(path.name)):
        return found
    raise Broken(f"{folder}: no executable named ganglion-VERSION-linux-ARCHITECTURE")


def add(executable: Path) -> list[Path]:
    """Make the Debian package and the bill of materials beside it. Raises CalledProcessError."""
    version, machine = _named(executable)
    package = executable.with_name(f"ganglion_{version}_{DEBIAN[machine]}.deb")
    bill = executable.with_name(executable.name + BILL)
    environment = {"SOURCE_DATE_EPOCH": _commit_time()} | os.environ
    for command in (
        [HERE / "deb" / "build.sh", executable, version, DEBIAN[machine], executable.parent],
        [sys.executable, HERE / "sbom.py", executable, "--output", bill],
    ):
        subprocess.run(list(map(str, command)), check=True, env=environment, stdout=subprocess.DEVNULL)
    return [package, bill]


def seal(folder: Path, key: Path | None) -> list[Path]:
    """Write SHA256SUMS, and with a key the signatures of it and of each executable. Raises Broken, OSError, ValueError
    (no key in the file)."""
    programs = executables(folder)
    if len(versions := {_named(path)[0] for path in programs}) > 1:
        raise Broken(f"{folder} holds several versions ({', '.join(sorted(versions))}): leave one of them there")
    for old in folder.glob(f"*{SUFFIX}"):
        old.unlink()  # of other contents
    made = [] if key is None else [sign.write_signature(path, key, *_signed_as(path)) for path in programs]
    sums = sign.write_sums([path for path in folder.iterdir() if path.is_file()])
    version, _ = _named(programs[0])
    return [*made, sums, *([] if key is None else [sign.write_signature(sums, key, version, "any")])]


def check(folder: Path, public: Path | None) -> Iterator[str]:
    """A line for each thing that is as it should be. `public`: None for an unsigned folder. Raises Broken, Untrusted,
    OSError for a file that is missing."""
    sums = folder / sign.SUMS
    if public is not None:
        yield sign.verify(sums, public)
    lines = [line.partition("  ") for line in sums.read_text().splitlines()]
    known = {name: digest for digest, _, name in lines}
    there = {path.name for path in folder.iterdir()} - {sums.name, sums.name + SUFFIX}
    if there != known.keys():
        raise Broken(f"{sums}: these are in one of folder and list only: {', '.join(sorted(there ^ known.keys()))}")
    for name, digest in known.items():
        if checksum(folder / name) != digest:
            raise Broken(f"{folder / name} is not the file of {sums.name}: fetch it again")
    yield f"{sums.name}: {len(known)} files are as they were"
    for executable in executables(folder):
        if public is not None:
            yield sign.verify(executable, public)
        yield from _check_one(executable)


def _check_one(executable: Path) -> Iterator[str]:
    version, machine = _named(executable)
    bill = json.loads(executable.with_name(executable.name + BILL).read_text())
    (about,) = bill["metadata"]["component"]["components"]
    if (about["name"], about["hashes"][0]["content"]) != (executable.name, checksum(executable)):
        raise Broken(f"{executable.name}{BILL} is about another file than {executable.name}")
    yield f"{executable.name}{BILL}: {len(bill['components'])} parts"
    package = executable.with_name(f"ganglion_{version}_{DEBIAN[machine]}.deb")
    with tempfile.TemporaryDirectory() as tree:
        subprocess.run(["dpkg-deb", "--extract", str(package), tree], check=True)
        if checksum(Path(tree, "usr/bin/ganglion")) != checksum(executable):
            raise Broken(f"{package.name} holds another executable than {executable.name}")
        yield f"{package.name} holds {executable.name}"
        if machine == platform.machine():
            environment = os.environ | {"GANGLION_CACHE_DIR": f"{tree}/cache"}
            command = [f"{tree}/usr/bin/ganglion", "--version"]
            said = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
            if said.splitlines()[0] != f"ganglion {version}":
                raise Broken(f"{executable.name} says that it is {said.splitlines()[0]}")
            yield f"{executable.name} runs: {', '.join(said.splitlines())}"


def _named(executable: Path) -> tuple[str, str]:
    match = NAME.fullmatch(executable.name)
    if match is None:
        raise Broken(f"{executable}: not named ganglion-VERSION-linux-ARCHITECTURE")
    return match["version"], match["machine"]


def _signed_as(executable: Path) -> tuple[str, str]:
    version, machine = _named(executable)
    return version, f"linux-{machine}"


def _commit_time() -> str:
    """When the sources were as they are; of no sources, nothing is said."""
    command = ["git", "-C", str(HERE), "log", "-1", "--format=%ct"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _key(named: Path | None, unsigned: bool) -> Path | None:
    """Raises Broken without a key, unless that is meant so."""
    chosen = named or (Path(os.environ["RELEASE_KEY"]) if os.environ.get("RELEASE_KEY") else None)
    if chosen is None and not unsigned:
        raise Broken("no key: name its file with --key or $RELEASE_KEY (python packaging/sign.py key FILE makes one), "
                     "or say --unsigned")  # fmt: skip
    return None if unsigned else chosen


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("add").add_argument("executable", type=Path)
    sealing, checking = verbs.add_parser("seal"), verbs.add_parser("check")
    sealing.add_argument("--key", type=Path, help="file of the secret key")
    checking.add_argument("--pub", type=Path, default=HERE / "keys" / "release.pub", help="file of public keys")
    for one in (sealing, checking):
        one.add_argument("folder", type=Path)
        one.add_argument("--unsigned", action="store_true", help="without signatures")
    said = parser.parse_args()
    try:
        match said.verb:
            case "add":
                lines = [str(path) for path in add(said.executable)]
            case "seal":
                lines = [str(path) for path in seal(said.folder, _key(said.key, said.unsigned))]
            case _:
                lines = list(check(said.folder, None if said.unsigned else said.pub))
    except (Broken, Untrusted, OSError, ValueError, subprocess.CalledProcessError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())

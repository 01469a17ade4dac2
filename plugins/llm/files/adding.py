"""`ganglion models add` and `remove`: from a file or a URL to a model that the agent finds by itself."""

import re
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from engine.whole_file import sync_folder, write_whole
from plugins.llm.files.checking import check_file, check_structure
from plugins.llm.files.download import Download, Progress
from plugins.llm.files.errors import FileTrouble
from plugins.llm.files.origin import is_url, model_name, read_link, read_sha256
from plugins.llm.files.part import Begun, Part, held, read_begun
from plugins.llm.service.catalogue import NAME, encode_manifest, read_manifest
from plugins.llm.service.checksums import Checksums
from plugins.llm.spec import ModelSpec

__all__ = ["Added", "Wish", "add", "begun_files", "remove"]

CHUNK = 2**20
PIECE = re.compile(r"-\d{5}-of-\d{5}\.gguf$", re.IGNORECASE)
"""How llama.cpp names the pieces of a model."""


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be added."""

    source: str
    """Path of a GGUF file, or its URL; `#sha256=HEX` at the end of that pins it."""
    name: str = ""
    """Empty: from the file's name."""
    sha256: str = ""
    """Hex; empty: any, and the one that it has is pinned."""
    context: int = 0
    is_linked: bool = False
    """The file stays where it is."""
    is_insecure: bool = False
    """http:// is allowed."""


class Added(msgspec.Struct, frozen=True, kw_only=True):
    """A model that is there now."""

    name: str
    file: str
    bytes: int
    sha256: str
    architecture: str = ""
    parameters: int = 0
    quantisation: str = ""
    context: int = 0
    """Tokens that it was made for, as the file says all this."""
    is_new: bool = True
    """False: it was there already, with the checksum that was wanted."""


def add(
    wish: Wish, folder: Path, *, told: Callable[[Progress], None] = lambda _: None,
    pause: Callable[[float], None] = time.sleep,
) -> Added:  # fmt: skip
    """Make a model of a file or a URL, whole or not at all; of a download that fails the bytes so far are kept.

    Raises FileTrouble. A KeyboardInterrupt leaves what came so far, too.
    """
    name, expected, folder = wished_name(wish), _expected(wish), folder.absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with held(folder, name) as part:
            if (manifest := folder / f"{name}.json").exists():
                return _there(name, manifest, expected)
            target = folder / f"{name}.gguf"
            if is_url(wish.source):
                Download(read_link(wish.source), part, is_pinned=bool(expected), is_insecure=wish.is_insecure,
                         told=told, pause=pause).run()  # fmt: skip
                file = part.path
            else:
                file = _local(Path(wish.source), target, part, is_linked=wish.is_linked, told=told)
            try:
                found, header = check_file(file, expected, told, _shown(wish))
            except FileTrouble:
                part.discard()  # the same bytes again would be as wrong
                raise
            if file == part.path:
                part.finish(target)
            elif file != target.resolve():
                target.unlink(missing_ok=True)
                target.symlink_to(file)
            size = target.stat().st_size
            spec = ModelSpec(name=name, file=target.name, sha256=found, context=wish.context)
            Checksums(folder).note(target, found)  # minutes for gigabytes on a small device
            write_whole(manifest, encode_manifest(spec))
    except OSError as error:
        raise FileTrouble(f"{folder}: {(error.strerror or str(error)).lower()}: see `ganglion doctor`") from None
    return Added(
        name=name, file=str(target), bytes=size, sha256=found, architecture=header.architecture,
        parameters=header.parameters, quantisation=header.quantisation, context=header.context,
    )  # fmt: skip


def remove(name: str, folder: Path) -> int:
    """Take an added model away, with what was begun of it; gives the bytes that are free now. A file that was only
    linked stays. Raises FileTrouble."""
    freed = 0
    try:
        with held(folder, name) as part:
            freed += part.size
            part.discard()
            (folder / f"{name}.json").unlink(missing_ok=True)
            file = folder / f"{name}.gguf"
            with suppress(FileNotFoundError):
                freed += 0 if file.is_symlink() else file.stat().st_size
                file.unlink()
            sync_folder(folder)
    except OSError as error:
        raise FileTrouble(f"{folder}: {(error.strerror or str(error)).lower()}") from None
    return freed


def begun_files(folder: Path) -> dict[str, Begun]:
    """Downloads that were interrupted, or are under way, by model."""
    found = {path.name.removesuffix(".gguf.part"): read_begun(path) for path in folder.glob("*.gguf.part")}
    return {name: begun for name, begun in sorted(found.items()) if begun.saved}


def wished_name(wish: Wish) -> str:
    """The name that it will have. Raises FileTrouble."""
    file = read_link(wish.source).name if is_url(wish.source) else Path(wish.source).name
    if PIECE.search(file):
        raise FileTrouble(
            f"{file} is one of several pieces: merge them first (llama-gguf-split --merge), and add what that gives",
            is_wrong=True,
        )
    if wish.name:
        if not NAME.fullmatch(wish.name):
            raise FileTrouble(
                f"--name {wish.name}: expected up to 64 lower-case letters, digits, dots, hyphens and underscores",
                is_wrong=True,
            )
        return wish.name
    name = model_name(file)
    if not name:
        raise FileTrouble(f"{file or wish.source} gives no name: add --name NAME", is_wrong=True)
    return name


def _shown(wish: Wish) -> str:
    return read_link(wish.source).shown if is_url(wish.source) else wish.source


def _expected(wish: Wish) -> str:
    """The checksum that it must have; empty: any."""
    given = read_sha256(wish.sha256, "--sha256 ") if wish.sha256 else ""
    if not is_url(wish.source):
        return given
    if wish.is_linked:
        raise FileTrouble("--link is for files of this machine: leave it out with a URL", is_wrong=True)
    promised = read_link(wish.source).sha256
    if given and promised and given != promised:
        raise FileTrouble("--sha256 and the #sha256= of the URL differ: one of them is wrong", is_wrong=True)
    return given or promised


def _there(name: str, manifest: Path, expected: str) -> Added:
    """A name is given once; asking for the very same again is no mistake."""
    try:
        spec = read_manifest(manifest)
    except ValueError:
        spec = ModelSpec(name=name)
    if not expected or spec.sha256 != expected or not Path(spec.file).exists():
        raise FileTrouble(
            f"there is a model {name} already: `ganglion models remove {name}` first, or --name another",
            is_wrong=True,
        )
    file = Path(spec.file)
    return Added(name=name, file=spec.file, bytes=file.stat().st_size, sha256=expected, is_new=False)


def _local(source: Path, target: Path, part: Part, *, is_linked: bool, told: Callable[[Progress], None]) -> Path:
    """Where the bytes of a file are now: in the part, or where they were."""
    try:
        file = source.expanduser().resolve(strict=True)
    except OSError:
        near = f"did you mean https://{source}? A download needs the whole URL" if "." in source.parts[0] else ""
        raise FileTrouble(f"{source}: there is no such file{f'; {near}' if near else ''}", is_wrong=True) from None
    if not file.is_file():
        raise FileTrouble(f"{source} is not a file: name a GGUF file", is_wrong=True)
    if is_linked or file == target.resolve():
        return file
    check_structure(file)  # before gigabytes are copied
    _copy(file, part, told)
    return part.path


def _copy(file: Path, part: Part, told: Callable[[Progress], None]) -> None:
    size, done = file.stat().st_size, 0
    part.begin()
    part.make_room(size)
    with file.open("rb", buffering=0) as source:
        while chunk := source.read(CHUNK):
            part.write(chunk)
            done += len(chunk)
            told(Progress("copying", done, size))

"""Whether kernels with large pages can map every program and library: those of a Raspberry Pi 5 have 16 KB, some
servers' 64 KB. A library whose segments are aligned to 4 KB alone does not load there, and nowhere else does it show.

python packaging/pages.py FOLDER|FILE [BYTES]
"""

import platform
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

LARGEST_BYTES = {"x86_64": 4096, "aarch64": 65536}
"""Of the architecture's kernels that are supported; others are taken for x86-64."""
ELF64_LITTLE = b"\x7fELF\x02\x01"
PT_LOAD = 1


def check_pages(top: Path) -> None:
    """Raises SystemExit with the files that such a kernel would refuse."""
    page = LARGEST_BYTES.get(platform.machine(), 4096)
    if refused := list(refused_files(top, page)):
        names = "".join(f"\n  {path}: {aligned}" for path, aligned in refused)
        sys.exit(
            f"a kernel with pages of {page} bytes can't load these; link them with -z max-page-size={page}:{names}"
        )


def refused_files(top: Path, page_bytes: int) -> Iterator[tuple[Path, int]]:
    """The programs and libraries in a folder that pages of that size are too large for, with their alignment. `top` may
    be one of them itself."""
    for path in [top, *sorted(top.rglob("*"))]:
        if path.is_file() and not path.is_symlink():
            aligned = alignment(path.read_bytes())
            if aligned is not None and aligned < page_bytes:
                yield path, aligned


def alignment(content: bytes) -> int | None:
    """The largest page in bytes that an ELF file can be loaded with; None if it is no such file, or loads nothing.

    Positions in the file and in memory must also agree within a page: a linker's promise (p_align) may be a lie.
    """
    if content[:6] != ELF64_LITTLE:
        return None
    (table,) = struct.unpack_from("<Q", content, 32)
    size, number = struct.unpack_from("<HH", content, 54)
    found = []
    for i in range(number):
        kind, _, offset, address, _, _, _, aligned = struct.unpack_from("<IIQQQQQQ", content, table + i * size)
        if kind == PT_LOAD:
            apart = address - offset
            found.append(min(aligned, apart & -apart) if apart else aligned)
    return min(found, default=None)


def main() -> None:
    top = Path(sys.argv[1])
    page = int(sys.argv[2]) if len(sys.argv) > 2 else LARGEST_BYTES["aarch64"]
    refused = list(refused_files(top, page))
    for path, aligned in refused:
        print(f"{path}: {aligned}")
    sys.exit(1 if refused else 0)


if __name__ == "__main__":
    main()

"""One executable of a folder: the launcher (launcher/*.c) with the folder packed inside."""

import hashlib
import io
import os
import subprocess
import tarfile
from pathlib import Path

SOURCES = Path(__file__).parent / "launcher"
LEVEL = 19
HASH_DIGITS = 32


def pack(folder: Path, work: Path, executable: Path) -> None:
    """Write `executable`. Needs a C compiler and zstd's static library (Debian: gcc, libzstd-dev)."""
    work.mkdir(parents=True, exist_ok=True)
    archive = _archive(folder)
    payload, manifest = work / "payload.tar.zst", work / "manifest"
    payload.write_bytes(_compressed(archive))
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink()]
    manifest.write_text("".join(f"{path.stat().st_size} {path.relative_to(folder)}\n" for path in files))
    build = hashlib.sha256(payload.read_bytes()).hexdigest()[:HASH_DIGITS]
    command = [
        os.environ.get("CC", "cc"), "-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-static-pie", "-fPIE", "-s",
        "-fstack-protector-strong", "-D_FORTIFY_SOURCE=2", "-Wl,-z,relro,-z,now", "-Wl,--build-id=none",
        f'-DBUILD="{build}"', f"-DUNPACKED_MEGABYTES={len(archive) // 1_000_000 + 1}",
        f'-DPAYLOAD="{payload}"', f'-DMANIFEST="{manifest}"', *os.environ.get("LAUNCHER_CFLAGS", "").split(),
        *map(str, sorted(SOURCES.glob("*.c"))), str(SOURCES / "payload.S"), "-lzstd", "-o", str(executable),
    ]  # fmt: skip
    subprocess.run(command, check=True)


def _archive(folder: Path) -> bytes:
    """A tar archive that depends on names, contents and the right to execute only."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path in sorted(folder.rglob("*")):
            archive.add(path, str(path.relative_to(folder)), recursive=False, filter=_anonymous)
    return buffer.getvalue()


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    member.mode = 0o700 if member.isdir() or member.mode & 0o100 else 0o600
    return member


def _compressed(archive: bytes) -> bytes:
    import zstandard

    return zstandard.ZstdCompressor(level=LEVEL, write_checksum=True, write_content_size=True).compress(archive)

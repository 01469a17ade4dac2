"""Kernels with large pages and what they refuse."""

import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[2] / "packaging" / "pages.py"
PT_LOAD, PT_NOTE = 1, 4


def elf(*segments: tuple[int, int, int, int]) -> bytes:
    """A file of such segments: kind, offset, address, alignment."""
    header = struct.pack(
        "<6s10xHHIQQQIHHHHHH", b"\x7fELF\x02\x01", 3, 183, 1, 0, 64, 0, 0, 64, 56, len(segments), 0, 0, 0
    )
    return header + b"".join(
        struct.pack("<IIQQQQQQ", kind, 5, offset, address, address, 16, 16, aligned)
        for kind, offset, address, aligned in segments
    )


def check(folder: Path, page_bytes: int) -> tuple[int, str]:
    said = subprocess.run(
        [sys.executable, str(PROGRAM), str(folder), str(page_bytes)], capture_output=True, text=True, check=False
    )
    assert said.stderr == ""
    return said.returncode, said.stdout


@pytest.mark.parametrize(
    ("segments", "accepted"),
    [
        ([(PT_LOAD, 0, 0, 65536), (PT_LOAD, 0x1F000, 0x2F000, 65536)], True),
        ([(PT_LOAD, 0, 0, 16384)], True),
        ([(PT_LOAD, 0, 0, 65536), (PT_LOAD, 0x1000, 0x2000, 4096)], False),
        ([(PT_LOAD, 0x1000, 0x2000, 65536)], False),  # 64 KB are claimed, and file and memory agree within 4 KB
        ([(PT_LOAD, 0, 0, 65536), (PT_NOTE, 0x40, 0x40, 4)], True),  # notes are not mapped by themselves
    ],
)
def test_every_segment_must_fit_into_pages_of_16_kb(tmp_path: Path, segments: list, accepted: bool) -> None:
    library = tmp_path / "lib" / "libone.so"
    library.parent.mkdir()
    library.write_bytes(elf(*segments))
    assert check(tmp_path, 16384) == ((0, "") if accepted else (1, f"{library}: 4096\n"))


def test_what_is_no_program_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "short").write_bytes(b"\x7fELF")
    (tmp_path / "text.py").write_text("print()\n")
    (tmp_path / "link.so").symlink_to("nowhere")
    (tmp_path / "object.o").write_bytes(elf())
    assert check(tmp_path, 16384) == (0, "")


def test_a_real_program_is_read(tmp_path: Path) -> None:
    shutil.copy(Path(sys.executable).resolve(), tmp_path / "python")
    assert check(tmp_path, 4096) == (0, "")
    assert check(tmp_path, 1 << 40)[0] == 1
    assert check(tmp_path / "python", 1 << 40)[0] == 1

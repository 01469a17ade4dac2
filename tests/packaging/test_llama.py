"""llama.cpp's variants for processors."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parents[2] / "packaging"
VARIANTS = """\
            ggml_add_cpu_backend_variant(armv8.6_2    DOTPROD SVE2)
            ggml_add_cpu_backend_variant(armv9.2_1    DOTPROD SME)
            ggml_add_cpu_backend_variant(armv9.2_2    DOTPROD SVE2 SME)
            ggml_add_cpu_backend_variant(android_armv9.2_1    DOTPROD SME)
"""


@pytest.fixture(scope="module")
def llama() -> ModuleType:
    spec = importlib.util.spec_from_file_location("packaging_llama", FOLDER / "llama.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_variants_that_the_compiler_refuses_are_left_out(llama: ModuleType) -> None:
    left = llama.without(["armv9.2_1", "armv9.2_2"], VARIANTS)
    assert [line.split("(")[1].split()[0] for line in left.splitlines()] == ["armv8.6_2", "android_armv9.2_1"]


def test_where_nothing_is_refused_the_list_stays(llama: ModuleType) -> None:
    assert llama.without([], VARIANTS) == VARIANTS


def test_the_version_is_that_of_the_constraints(llama: ModuleType) -> None:
    assert f"llama-cpp-python=={llama.pinned('llama-cpp-python')}" in (FOLDER.parent / "constraints.txt").read_text()


def test_a_package_without_a_version_is_named(llama: ModuleType) -> None:
    with pytest.raises(SystemExit, match=r"constraints\.txt does not name llama"):
        llama.pinned("llama")


def test_llama_cpp_is_not_compiled_of_another_source(tmp_path: Path) -> None:
    archive = tmp_path / "llama.tar.gz"
    archive.write_bytes(b"x")
    done = subprocess.run(
        [sys.executable, FOLDER / "llama.py", "--work", tmp_path],
        env={"PATH": os.environ["PATH"], "LLAMA_SOURCE": str(archive)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith(f"{archive} is not what constraints-source.txt names")

"""Whether WebAssembly runs here is tried, and a system that forbids it is told from one that lets it."""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from plugins.wasm.runtime import Code
from plugins.wasm.trial import Trial, try_wasm

ROOT = Path(__file__).parents[3]
FORBIDDEN = """\
import ctypes, resource, sys
PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN = 65, 1
from plugins.wasm.trial import try_wasm
{prepare}
print(repr(try_wasm()))
"""


def tried(prepare: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", FORBIDDEN.format(prepare=prepare)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_runs_here() -> None:
    assert try_wasm() == Trial(version("wasmtime"), Code.NATIVE)


def test_where_nobody_may_make_machine_code_it_is_interpreted() -> None:
    said = tried("if ctypes.CDLL(None).prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0): sys.exit(print('old'))")
    if said == "old\n":
        pytest.skip("this kernel can't forbid it")
    assert "code=<Code.INTERPRETED" in said
    assert "unable to make memory executable" in said


def test_where_addresses_are_short_it_says_why_it_can_not_run() -> None:
    said = tried("resource.setrlimit(resource.RLIMIT_AS, (3 * 2**30, 3 * 2**30))")
    assert "code=None" in said
    assert "mmap failed to reserve" in said


def test_nothing_is_loaded_before_it_is_tried() -> None:
    code = (
        "import sys, plugins.wasm.trial; from plugins.wasm.runtime import installed_version; "
        "print(installed_version(), 'wasmtime' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == f"{version('wasmtime')} False\n"

"""Whether WebAssembly runs here is tried, and a system that forbids it is told from one that lets it."""

import signal
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


CRASH = """\
import ctypes, faulthandler
faulthandler.enable()
from wasmtime import Instance, Module, Trap
from plugins.wasm.runtime import Limits, engine, store
made = engine()
owner = store(made, Limits(memory_bytes=65_536, fuel=1000))
module = Module(made, '(module (memory 1) (func (export "run") (drop (i32.load (i32.const 99999)))))')
try:
    Instance(owner, module, []).exports(owner)["run"](owner)
except Trap:
    print("a trap is no crash", flush=True)
ctypes.string_at(0)
"""


def test_a_crash_of_other_code_is_still_told_after_wasmtime_took_the_signals() -> None:
    """The guard against executions that kill the agent reads what faulthandler writes (agent/crashes.py)."""
    done = subprocess.run([sys.executable, "-c", CRASH], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "a trap is no crash\n"
    assert done.returncode == -signal.SIGSEGV
    assert done.stderr.count("Fatal Python error: Segmentation fault") == 1


def test_nothing_is_loaded_before_it_is_tried() -> None:
    code = (
        "import sys, plugins.wasm.trial; from plugins.wasm.runtime import installed_version; "
        "print(installed_version(), 'wasmtime' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == f"{version('wasmtime')} False\n"
